/** @module What the cases of NetworkPort have in common: ids, addresses, and changes in few words. */
import type { Nexthop, Route } from "@spanwire/core/desired/state";
import type { NetworkChange } from "../change.ts";
import type { ContractNames } from "../contract.ts";
import type { Kernel } from "../port.ts";

export const TABLE = 5180;
export const G1 = 518_000_100;
export const G2 = 518_000_101;
export const G1_IPV6 = 518_000_150;
export const GROUP = 518_000_140;
export const STABLE = "198.18.0.1";
export const STABLE_IPV6 = "fd00::1";
export const MARK = { mark: 0x1000, mask: 0x1000 };

/** The stable device and two lanes, all up, with the addresses that routes take as source. */
export async function prepare(kernel: Kernel, { stable, lanes }: ContractNames): Promise<void> {
  await apply(
    kernel,
    { kind: "add-dummy-link", name: stable, mtuBytes: 1400 },
    { kind: "set-link", name: stable, up: true },
    { kind: "add-address", address: { device: stable, address: `${STABLE}/32` } },
    { kind: "add-address", address: { device: stable, address: `${STABLE_IPV6}/128` } },
  );
  for (const name of lanes) {
    await kernel.wireguard.apply({ kind: "add-wireguard-link", name, mtuBytes: 1400 });
    await apply(kernel, { kind: "set-link", name, up: true });
  }
}

export function groupOf(device: string): NetworkChange[] {
  return [replaceNexthop({ kind: "device", id: G1, family: "ipv4", device }), replaceNexthop(group([G1], 32))];
}

export function group(ids: readonly number[], resilientBuckets: number | undefined): Nexthop {
  return { kind: "group", id: GROUP, members: ids.map((id) => ({ id, weight: 1 })), resilientBuckets };
}

export function prefixRoute(): Route {
  return route("10.2.0.0/16", { kind: "nexthop", id: GROUP, source: STABLE });
}

export function route(destination: string, target: Route["target"], metric = 0): Route {
  return { table: TABLE, destination, metric, target };
}

export function replaceNexthop(nexthop: Nexthop): NetworkChange {
  return { kind: "replace-nexthop", nexthop };
}

export function replaceRoute(wanted: Route): NetworkChange {
  return { kind: "replace-route", route: wanted };
}

export function removeRoute(unwanted: Route): NetworkChange {
  return { kind: "remove-route", route: unwanted };
}

export async function apply(kernel: Kernel, ...changes: readonly NetworkChange[]): Promise<void> {
  for (const change of changes) await kernel.network.apply(change);
}
