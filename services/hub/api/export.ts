/** @module The map as it is stored, and all that a backup needs of the store. */
import { fromBinary } from "@bufbuild/protobuf";
import { MAP_BUCKET, REGISTRY_BUCKET } from "@spanwire/core/subjects";
import { SnapshotChunkSchema } from "@spanwire/proto/agent";
import type { FleetService } from "@spanwire/proto/fleet";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import { snapshotChunks } from "../distribution/snapshot-chunks.ts";
import { NONCE_KEY } from "../registration/nonce-key.ts";
import { LEASE_KEY } from "../state/leader.ts";
import type { FleetOptions } from "./fleet-service.ts";

/** What belongs to the hubs that run now, and is made anew. */
const NOT_EXPORTED = new Set([NONCE_KEY, LEASE_KEY]);

export function exportHandlers({
  map,
  store,
  writer,
  audit,
}: FleetOptions): Pick<Handlers<typeof FleetService>, "getMap" | "exportState"> {
  return {
    async *getMap() {
      writer.registry();
      for (const bytes of snapshotChunks(map.snapshot())) yield { chunk: fromBinary(SnapshotChunkSchema, bytes) };
    },
    async *exportState(_request, context) {
      audit.calls.of(context).changed({ action: "state.export" });
      // The registry first: of two moments, a token that is not yet claimed beside its admission does no harm.
      for (const { key, bytes } of await store.registry.list()) {
        if (!NOT_EXPORTED.has(key)) yield { bucket: REGISTRY_BUCKET, key, value: new Uint8Array(bytes) };
      }
      const { entries } = await store.map.entries();
      for (const { key, bytes } of entries) yield { bucket: MAP_BUCKET, key, value: new Uint8Array(bytes) };
    },
  };
}
