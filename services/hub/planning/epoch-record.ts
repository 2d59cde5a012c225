/** @module The epoch record: read with what belongs to it, and written one step further by compare-and-set. */
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { EPOCH_KEY } from "@spanwire/core/records/key";
import { sealRecord } from "@spanwire/core/records/seal";
import type { EpochView } from "@spanwire/core/rotation/epoch";
import { readEpoch, writeEpoch } from "@spanwire/core/rotation/read-epoch";
import type { Epoch } from "@spanwire/proto/record";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import type { WriterOptions } from "../registration/admission-writer.ts";
import type { HubMap } from "../state/mesh-view.ts";

export interface EpochRecord {
  readonly epoch: Epoch;
  readonly view: EpochView;
  /** The request that it obeys; empty before the first. */
  readonly request: string;
  readonly incarnation: bigint;
  readonly writtenAtMs: number;
  /** What the next write must expect. */
  readonly revision: number;
}

/** Undefined in a map without one. */
export function findEpochRecord(map: Pick<HubMap, "records" | "revisionOf">): EpochRecord | undefined {
  const held = map.records.get(EPOCH_KEY);
  const { epoch } = map.records;
  if (held === undefined || epoch === undefined) return undefined;
  const { order, payload } = held;
  return {
    epoch,
    view: readEpoch(epoch, order.generation),
    request: epoch.request,
    incarnation: order.incarnation,
    writtenAtMs: payload.issuedAt === undefined ? 0 : timestampMs(payload.issuedAt),
    revision: map.revisionOf(EPOCH_KEY),
  };
}

/** Writes the next record and waits until it is in the map; false where somebody else wrote first. */
export async function writeEpochRecord(
  { store, map, meshId, signers, clock }: WriterOptions,
  { incarnation, revision }: EpochRecord,
  next: { readonly view: EpochView; readonly request: string },
  signal: AbortSignal,
): Promise<boolean> {
  const value = writeEpoch(next.view, next.request);
  const issuedAt = timestampFromMs(clock.now());
  const order = { incarnation, generation: next.view.generation };
  const payload = { key: EPOCH_KEY, ...order, issuedAt, body: { case: "epoch", value } } as const;
  const bytes = await sealRecord(meshId, payload, { signer: signers.online, sha256 });
  const written = await store.map.put(EPOCH_KEY, bytes, { expectedRevision: revision });
  if (written.ok) await map.waitFor(written.revision, signal);
  return written.ok;
}
