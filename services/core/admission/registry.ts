/** @module What admission rules are judged against: all that is admitted now, and how far orders have come. */
import type { Admission, Mesh } from "@spanwire/proto/record";
import { type Cidr, parseCidr } from "../address/cidr.ts";
import type { Order } from "../records/order.ts";
import type { HeldStatement, RecordMap } from "../records/record-map.ts";

export interface Registry {
  readonly mesh: Mesh;
  /** Live admissions by cluster id; a revoked cluster is one without gateways. */
  readonly admissions: ReadonlyMap<string, Admission>;
  /** By record key, the admitted incarnations' only. */
  readonly statements: ReadonlyMap<string, HeldStatement>;
  /** The order of what is stored under a record key, tombstones included; undefined when nothing ever was. */
  orderOf(key: string): Order | undefined;
  /** Whether a tombstone is stored under the record key. */
  isEnded(key: string): boolean;
  /** Whether a NATS user was revoked; it never comes back. */
  isBanned(nkey: string): boolean;
  prefixesOf(admission: Admission): readonly Cidr[];
}

/**
 * A live view of a verified map; undefined while the map has no mesh record. Keep it: it reads each admission's
 * prefixes once.
 */
export function registryOf(map: RecordMap, isBanned: (nkey: string) => boolean): Registry | undefined {
  const { mesh, admissions, statements } = map;
  if (mesh === undefined) return undefined;
  const prefixes = new WeakMap<Admission, readonly Cidr[]>();
  return {
    mesh,
    admissions,
    statements,
    orderOf: (key) => map.get(key)?.order,
    isEnded: (key) => map.get(key)?.payload.body.case === "tombstone",
    isBanned,
    prefixesOf: (admission) => {
      const known = prefixes.get(admission) ?? admission.prefixes.map(parseCidr);
      prefixes.set(admission, known);
      return known;
    },
  };
}
