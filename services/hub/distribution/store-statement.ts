/** @module A statement that an agent sends: verified, judged, stored by compare-and-set, and the answer to it. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { registryOf } from "@spanwire/core/admission/registry";
import { judgeStatement } from "@spanwire/core/admission/statement";
import { equalBytes } from "@spanwire/core/records/digest";
import { gatewayKey } from "@spanwire/core/records/key";
import type { Order } from "@spanwire/core/records/order";
import type { GatewayRef } from "@spanwire/core/subjects";
import { type StoreReply, StoreReplySchema } from "@spanwire/proto/agent";
import type { HubMap } from "../state/mesh-view.ts";
import type { MapBucket } from "../state/port.ts";

export interface StatementStore {
  readonly map: HubMap;
  readonly bucket: MapBucket;
  readonly isBanned: (nkey: string) => boolean;
}

/** A conflict is another hub that stored the same statement for a retry; more than a few in a row are not. */
const ATTEMPTS = 4;

/**
 * Stores the statement byte for byte and answers with the order that is stored. Idempotent: the same bytes again get
 * the same answer. Rejects when the store is away.
 */
export async function storeStatement(
  { map, bucket, isBanned }: StatementStore,
  sender: GatewayRef,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<StoreReply> {
  const key = gatewayKey(sender.clusterId, sender.ordinal);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    await map.whenCurrent(signal);
    const { version } = map.changes;
    const opened = map.records.open(key, bytes);
    if (!opened.ok) return refused(opened.reason, opened.message);
    const { payload, order } = opened.record;
    const registry = registryOf(map.records, isBanned);
    const { epoch } = map.records;
    if (registry === undefined || epoch === undefined)
      return refused("NOT_READY", "the hub has no mesh yet", { retryable: true });
    if (payload.body.case !== "statement") return refused("BAD_STATEMENT", `record "${key}" is no statement`);

    const held = map.records.get(key);
    const isStored = held !== undefined && equalBytes(held.signed, opened.record.signed);
    const verdict = judgeStatement(registry, { sender, statement: payload.body.value, order, isStored, epoch });
    if (!verdict.ok) return refused(verdict.reason, verdict.message, { held: verdict.held });
    if (!verdict.store) return stored(map, map.sequence, order);

    const written = await bucket.put(key, bytes, { expectedRevision: map.revisionOf(key) });
    if (written.ok) {
      await map.waitFor(written.revision, signal);
      return stored(map, written.revision, order);
    }
    await map.changes.after(version, signal); // what somebody else wrote is here, or on its way
  }
  return refused("BUSY", `record "${key}": written by others at the same time`, { retryable: true });
}

function stored({ lineage }: HubMap, sequence: number, order: Order): StoreReply {
  const value = { lineage, sequence: BigInt(sequence), ...order };
  return create(StoreReplySchema, { outcome: { case: "stored", value } });
}

export function refused(
  reason: string,
  message: string,
  { held, retryable = false }: { readonly held?: Order | undefined; readonly retryable?: boolean } = {},
): StoreReply {
  const value: MessageInitShape<typeof StoreReplySchema>["outcome"] = {
    case: "refused",
    value: { reason, message, retryable, ...(held && { incarnation: held.incarnation, generation: held.generation }) },
  };
  return create(StoreReplySchema, { outcome: value });
}
