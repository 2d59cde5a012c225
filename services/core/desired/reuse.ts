/** @module Keeps the objects of an earlier compile where nothing changed, so that a reader can compare by reference. */
import type { Fragment } from "./desired.ts";

/** `next`, with each equal list replaced by the former one; `former` itself when all are equal. */
export function reuseFragment(former: Fragment | undefined, next: Fragment): Fragment {
  const merged: Fragment = {
    links: reuseList(former?.links, next.links),
    settings: reuseList(former?.settings, next.settings),
    addresses: reuseList(former?.addresses, next.addresses),
    peers: reuseList(former?.peers, next.peers),
    nexthops: reuseList(former?.nexthops, next.nexthops),
    routes: reuseList(former?.routes, next.routes),
    rules: reuseList(former?.rules, next.rules),
    remote: reuseList(former?.remote, next.remote),
    kept: reuseList(former?.kept, next.kept),
    forward: reuseList(former?.forward, next.forward),
    snat: reuseList(former?.snat, next.snat),
    conditions: reuseList(former?.conditions, next.conditions),
  };
  if (former === undefined) return merged;
  const keys = Object.keys(merged) as (keyof Fragment)[];
  return keys.every((key) => merged[key] === former[key]) ? former : merged;
}

/**
 * A copy without the spare room (up to 17 items) that growing leaves: a list of one is most of what an agent keeps for
 * a cluster.
 */
export function trimmed<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? NONE : list.slice();
}

/** The former list where it is equal in depth to the next one. */
export function reuseList<T>(former: readonly T[] | undefined, next: readonly T[]): readonly T[] {
  if (former !== undefined && isEqual(former, next)) return former;
  return next.length === 0 ? NONE : next;
}

const NONE: readonly never[] = Object.freeze([]);

/** Equal in depth, for plain data; objects of a class are equal to themselves only. */
function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) return Array.isArray(b) && isEqualList(a, b);
  if (Object.getPrototypeOf(a) !== Object.prototype || Object.getPrototypeOf(b) !== Object.prototype) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  for (const key of keys) if (!isEqual(Reflect.get(a, key), Reflect.get(b, key))) return false;
  return true;
}

function isEqualList(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!isEqual(a[i], b[i])) return false;
  return true;
}
