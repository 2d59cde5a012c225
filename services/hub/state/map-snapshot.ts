/** @module An immutable copy of the map: what snapshots, heads and the answers of Register and Renew are made of. */
import { parseKey, type RecordKey } from "@spanwire/core/records/key";
import type { RecordMap } from "@spanwire/core/records/record-map";

export interface MapSnapshot {
  readonly lineage: bigint;
  readonly sequence: number;
  /** 32 bytes over (key, order) of all entries. */
  readonly digest: Uint8Array;
  /** In an order in which each can be verified by those before it: the authority's records first. */
  readonly entries: readonly SnapshotRecord[];
}

export interface SnapshotRecord {
  readonly key: string;
  /** Byte for byte as it was stored. */
  readonly bytes: Uint8Array;
}

const RANK: Readonly<Record<RecordKey["type"], number>> = {
  mesh: 0,
  delegation: 1,
  cluster: 2,
  "policy.links": 3,
  epoch: 4,
  gateway: 5,
  unknown: 6,
  head: 6,
  applied: 6,
};

export function createMapSnapshot(
  records: RecordMap,
  { lineage, sequence }: { readonly lineage: bigint; readonly sequence: number },
): MapSnapshot {
  const ranked = [...records.records()].map(({ key, bytes }) => ({ key, bytes, rank: RANK[parseKey(key).type] }));
  ranked.sort((a, b) => a.rank - b.rank || (a.key < b.key ? -1 : 1));
  return { lineage, sequence, digest: records.digest(), entries: ranked.map(({ key, bytes }) => ({ key, bytes })) };
}
