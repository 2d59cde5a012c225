/** @module Keeps the objects of an earlier compile where nothing changed, so that a reader can compare by reference. */
import type { Fragment } from "./desired.ts";

/** `next`, with each equal list replaced by the former one; `former` itself when all are equal. */
export function reuseFragment(former: Fragment | undefined, next: Fragment): Fragment {
  if (former === undefined) return next;
  const merged: Fragment = {
    links: reuse(former.links, next.links),
    settings: reuse(former.settings, next.settings),
    addresses: reuse(former.addresses, next.addresses),
    peers: reuse(former.peers, next.peers),
    nexthops: reuse(former.nexthops, next.nexthops),
    routes: reuse(former.routes, next.routes),
    rules: reuse(former.rules, next.rules),
    remote: reuse(former.remote, next.remote),
    forward: reuse(former.forward, next.forward),
    snat: reuse(former.snat, next.snat),
    conditions: reuse(former.conditions, next.conditions),
  };
  const keys = Object.keys(merged) as (keyof Fragment)[];
  return keys.every((key) => merged[key] === former[key]) ? former : merged;
}

/** `former` where it is equal in depth to `next`, else `next`. For plain data; other objects must be identical. */
export function reuse<T>(former: T, next: T): T {
  return isEqual(former, next) ? former : next;
}

function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => isEqual(item, b[i]));
  // A Secret is a class: another object is another secret as far as this can tell.
  if (Object.getPrototypeOf(a) !== Object.prototype || Object.getPrototypeOf(b) !== Object.prototype) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => isEqual(Reflect.get(a, key), Reflect.get(b, key)))
  );
}
