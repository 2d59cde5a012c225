/** @module What can still be had of a wish when some of its devices cannot be: the other lanes go on. */
import type { KernelState, Link, Nexthop, Route } from "@spanwire/core/desired/state";
import type { Observed } from "./observe.ts";

/** "foreign": another program's device has the name. */
export type Unusable = "foreign" | "absent" | "down";

/** Wanted devices that nothing can be built on as things are. */
export function findUnusable(links: readonly Link[], { network }: Observed): ReadonlyMap<string, Unusable> {
  const present = new Map(network.links.map((link) => [link.name, link]));
  const unusable = new Map<string, Unusable>();
  for (const { name, kind } of links) {
    const current = present.get(name);
    if (current === undefined) unusable.set(name, "absent");
    else if (current.kind !== kind) unusable.set(name, "foreign");
    else if (!current.up) unusable.set(name, "down");
  }
  return unusable;
}

/**
 * The wish without what hangs on `unusable` devices: a group keeps its other members, and a prefix that has none left
 * keeps its blackhole. The devices themselves stay in the wish, to be tried again.
 */
export function withoutDevices(desired: KernelState, unusable: ReadonlyMap<string, Unusable>): KernelState {
  if (unusable.size === 0) return desired;
  const isUsable = ({ device }: { readonly device: string }): boolean => !unusable.has(device);
  const nexthops = usableNexthops(desired.nexthops, unusable);
  const ids = new Set(nexthops.map(({ id }) => id));
  const sources = new Set(desired.addresses.filter(isUsable).map(({ address }) => address.replace(/\/.*/, "")));
  const isRoutable = ({ target }: Route): boolean => {
    if (target.kind === "nexthop") return ids.has(target.id) && sources.has(target.source);
    if (target.kind === "device") return isUsable(target) && sources.has(target.source);
    return true;
  };
  return {
    ...desired,
    // A device that is down holds its peers all the same.
    peers: desired.peers.filter(({ device }) => (unusable.get(device) ?? "down") === "down"),
    addresses: desired.addresses.filter(({ device }) => unusable.get(device) !== "foreign"),
    settings: desired.settings.filter(({ device }) => unusable.get(device) !== "foreign"),
    nexthops,
    routes: desired.routes.filter(isRoutable),
  };
}

function usableNexthops(nexthops: readonly Nexthop[], unusable: ReadonlyMap<string, Unusable>): readonly Nexthop[] {
  const lost = new Set<number>();
  for (const nexthop of nexthops) if (nexthop.kind === "device" && unusable.has(nexthop.device)) lost.add(nexthop.id);
  return nexthops.flatMap((nexthop): Nexthop[] => {
    if (nexthop.kind === "device") return lost.has(nexthop.id) ? [] : [nexthop];
    const members = nexthop.members.filter(({ id }) => !lost.has(id));
    return members.length === 0 ? [] : [{ ...nexthop, members }];
  });
}
