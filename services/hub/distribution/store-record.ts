/**
 * @module A record that an agent sends: verified, judged, stored by compare-and-set, and the answer to it.
 *
 * Mostly the agent's own statement. After the store lost something, also any other record that the agent still holds:
 * who brings it does not matter, because it proves itself and is stored only over an older one.
 */
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { judgePrefixes } from "@spanwire/core/admission/prefixes";
import { type Registry, registryOf } from "@spanwire/core/admission/registry";
import { judgeStatement } from "@spanwire/core/admission/statement";
import { equalBytes } from "@spanwire/core/records/digest";
import { parseKey, type RecordKey } from "@spanwire/core/records/key";
import { type OpenedRecord, signedBytes } from "@spanwire/core/records/open";
import { compareOrders, formatOrder, type Order } from "@spanwire/core/records/order";
import { type StoreReply, StoreReplySchema } from "@spanwire/proto/agent";
import { type Admission, type Epoch, PayloadSchema, RecordSchema } from "@spanwire/proto/record";
import type { HubMap } from "../state/mesh-view.ts";
import type { MapBucket, Written } from "../state/port.ts";

export interface RecordStore {
  readonly map: HubMap;
  readonly bucket: MapBucket;
  readonly onStored?: (stored: StoredRecord) => void;
}

/** What a record took the place of. */
export interface StoredRecord {
  readonly before: OpenedRecord | undefined;
  readonly record: OpenedRecord;
}

/** A conflict is another hub that stores the same record for a retry; more than a few in a row are not. */
const ATTEMPTS = 4;
const HUB_RECORDS = ["mesh", "delegation", "admission", "linkPolicy", "epoch", "tombstone"] as const;

/**
 * Stores the record byte for byte and answers with the order that is stored. Idempotent: the same bytes again get the
 * same answer. Rejects when the store is away.
 */
export async function storeRecord(
  { map, bucket, onStored }: RecordStore,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<StoreReply> {
  const key = keyOf(bytes);
  const parsed = parseKey(key ?? "");
  if (key === undefined) return refused("MALFORMED", "what was sent is not a record");
  if (parsed.type === "head" || parsed.type === "applied") {
    return refused("NOT_IN_MAP", `record "${key}": is signed like a record and is none of the map`);
  }
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    await map.whenCurrent(signal);
    const { version } = map.changes;
    const opened = map.records.open(key, bytes);
    if (!opened.ok) return refused(opened.reason, opened.message);
    const { record } = opened;
    const registry = registryOf(map.records, () => false);
    const { epoch } = map.records;
    if (registry === undefined || epoch === undefined)
      return refused("NOT_READY", "the hub has no mesh yet", { retryable: true });

    const held = map.records.get(key);
    if (held !== undefined && equalBytes(signedBytes(held), signedBytes(record)))
      return stored(map, map.sequence, record.order);
    const refusal = objectionTo(record, { parsed, held, registry, epoch });
    if (refusal !== undefined) return refusal;
    // What is written from here on belongs to the new lineage, and tokens whose claim was lost as well are void.
    if (isHubs(record)) await map.noteLost(key);

    const written = await write({ map, bucket }, record, parsed);
    if (written.ok) {
      onStored?.({ before: held, record });
      await map.waitFor(written.revision, signal);
      return stored(map, written.revision, record.order);
    }
    await map.changes.after(version, signal); // what somebody else wrote is here, or on its way
  }
  return refused("BUSY", `record "${key}": written by others at the same time`, { retryable: true });
}

/** The key that the record says it is for; the signature is checked under it. */
function keyOf(bytes: Uint8Array): string | undefined {
  try {
    const { key } = fromBinary(PayloadSchema, fromBinary(RecordSchema, bytes).payload);
    return /^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(key) ? key : undefined;
  } catch {
    return undefined;
  }
}

interface Judging {
  readonly parsed: RecordKey;
  readonly held: OpenedRecord | undefined;
  readonly registry: Registry;
  readonly epoch: Epoch;
}

function objectionTo(record: OpenedRecord, { parsed, held, registry, epoch }: Judging): StoreReply | undefined {
  const { order, payload } = record;
  const { body } = payload;
  if (parsed.type === "gateway" && body.case === "statement") {
    // The signature proves the author: it need not be the one who brings it.
    const verdict = judgeStatement(registry, { sender: parsed, statement: body.value, order, isStored: false, epoch });
    return verdict.ok ? undefined : refused(verdict.reason, verdict.message, { held: verdict.held });
  }
  if (held !== undefined && compareOrders(order, held.order) <= 0) {
    const reason = compareOrders(order, held.order) === 0 ? "FORK" : "STALE_ORDER";
    const message = `record "${record.key}" at order ${formatOrder(order)}: ${formatOrder(held.order)} is stored`;
    return refused(reason, message, { held: held.order });
  }
  return body.case === "admission" ? objectionToAdmission(registry, body.value) : undefined;
}

/** While its admission was lost, somebody else may have been admitted to the cluster's prefixes or its block. */
function objectionToAdmission(registry: Registry, { clusterId, prefixes, overlayIndex }: Admission) {
  const judged = judgePrefixes(registry, clusterId, prefixes);
  if (!judged.ok) return refused(judged.reason, judged.message);
  const others = [...registry.admissions.values()].filter((each) => each.clusterId !== clusterId);
  const owner = others.find((each) => each.overlayIndex === overlayIndex);
  if (owner === undefined) return undefined;
  return refused("BLOCK_TAKEN", `cluster "${clusterId}": its overlay block is cluster "${owner.clusterId}"'s now`);
}

/** Whether only a hub signs such a record, and had stored it before anybody heard of it. */
function isHubs({ payload: { body } }: OpenedRecord): boolean {
  return body.case !== undefined && HUB_RECORDS.some((each) => each === body.case);
}

/** An admission is judged by all the others, so it is written against all of them. */
function write({ map, bucket }: RecordStore, { key, bytes }: OpenedRecord, parsed: RecordKey): Promise<Written> {
  if (parsed.type !== "cluster") return bucket.put(key, bytes, { expectedRevision: map.revisionOf(key) });
  return bucket.putCluster(key, bytes, { expectedClustersSequence: map.clustersSequence });
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
