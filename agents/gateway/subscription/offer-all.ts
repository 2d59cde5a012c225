/** @module Offers many records at once: a snapshot's, or those read from disk. */
import { parseKey } from "@spanwire/core/records/key";
import type { OpenedRecord } from "@spanwire/core/records/open";
import type { RecordMap } from "@spanwire/core/records/record-map";

export interface Entry {
  readonly key: string;
  /** A serialized Record. */
  readonly record: Uint8Array;
}

/** Why a record was not taken; `bytes` are the evidence. */
export interface Rejection {
  readonly key: string;
  /** A refusal reason of `openRecord`, "KEY_CLAIMED", "FORK", "NOT_IN_MAP" or "OLD_LINEAGE". */
  readonly reason: string;
  readonly message: string;
  readonly bytes: Uint8Array;
}

export type OfferOutcome =
  | { readonly kind: "accepted"; readonly record: OpenedRecord }
  /** Nothing changed: we hold the same, or a newer one. */
  | { readonly kind: "known" | "stale" }
  | { readonly kind: "rejected"; readonly rejection: Rejection };

export interface OfferedAll {
  readonly accepted: readonly OpenedRecord[];
  /** Keys of which the list held what we now hold. */
  readonly same: ReadonlySet<string>;
  readonly rejected: readonly Rejection[];
}

/** Authority first: what says who may sign comes before what they signed. */
const RANK = { mesh: 0, delegation: 1, cluster: 2, "policy.links": 3, epoch: 4, gateway: 5, unknown: 6 } as const;
const NOT_IN_MAP = 7;

/** Rejections that another record may lift: its admission, or the release of a key. */
const MAY_PASS = new Set(["UNKNOWN_SIGNER", "NOT_ENTITLED", "KEY_CLAIMED"]);

export function mayPass({ reason }: Rejection): boolean {
  return MAY_PASS.has(reason);
}

/** Offers one record; what is signed like a record but none of the map (a head) is rejected. */
export function offerOne(map: RecordMap, { key, record: bytes }: Entry): OfferOutcome {
  if (rankOf(key) === NOT_IN_MAP) {
    const message = `record "${key}": is signed like a record and is none of the map`;
    return { kind: "rejected", rejection: { key, reason: "NOT_IN_MAP", message, bytes } };
  }
  const offered = map.offer(key, bytes);
  if (offered.kind === "accepted") return { kind: "accepted", record: offered.record };
  if (offered.kind === "known" || offered.kind === "stale") return { kind: offered.kind };
  const reason = offered.kind === "fork" ? "FORK" : offered.reason;
  return { kind: "rejected", rejection: { key, reason, message: offered.message, bytes } };
}

/** Offers until nothing more is accepted: the order of a list is not the order of writing. */
export function offerAll(map: RecordMap, entries: readonly Entry[]): OfferedAll {
  const accepted: OpenedRecord[] = [];
  const same = new Set<string>();
  const rejected: Rejection[] = [];
  let open = entries.toSorted((a, b) => rankOf(a.key) - rankOf(b.key));
  let waiting: Rejection[] = [];
  for (let before = Number.POSITIVE_INFINITY; open.length < before; ) {
    before = open.length;
    waiting = [];
    open = open.filter((entry) => {
      const outcome = offerOne(map, entry);
      if (outcome.kind === "accepted") accepted.push(outcome.record);
      if (outcome.kind === "accepted" || outcome.kind === "known") same.add(entry.key);
      if (outcome.kind !== "rejected") return false;
      const wait = mayPass(outcome.rejection);
      (wait ? waiting : rejected).push(outcome.rejection);
      return wait;
    });
  }
  return { accepted, same, rejected: [...rejected, ...waiting] };
}

/** The place of a key in the order in which records vouch for each other: smaller ones come first. */
export function rankOf(key: string): number {
  const { type } = parseKey(key);
  return type === "head" || type === "applied" ? NOT_IN_MAP : RANK[type];
}
