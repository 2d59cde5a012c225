/** @module The fake's rtnetlink: what hangs on a device goes with it, and what is missing is refused with a sentence. */
import type { Address, Nexthop, Route, Rule } from "@spanwire/core/desired/state";
import { by, routeKey } from "../by.ts";
import type { NetworkChange } from "../change.ts";
import { describeNexthop, describeRoute } from "../describe.ts";
import { kernelError } from "../kernel-error.ts";
import { DEFAULT_OWNERSHIP, ownsDevice, ownsNexthop } from "../ownership.ts";
import type { ObservedNetwork, ObservedRoute } from "../port.ts";
import { addLink, type FakeLink, type FakeState, slotOf } from "./state.ts";

export function observeNetwork(state: FakeState): ObservedNetwork {
  const links = [...state.links.values()].sort(by((link) => link.name));
  return {
    links: links.map(({ kind, name, mtuBytes, up }) => ({ kind, name, mtuBytes, up })),
    settings: links.map(({ settings }) => settings),
    addresses: state.addresses.toSorted(by(({ device, address }) => `${device} ${address}`)),
    nexthops: [...state.nexthops.values()].sort((a, b) => a.id - b.id),
    routes: [...state.routes.values()].sort(by(routeKey)),
    rules: state.rules.toSorted(by(({ family, priority }) => `${family} ${priority}`)),
  };
}

/** What the port's `observe` answers with: ours and nothing else. */
export function ownPart(network: ObservedNetwork): ObservedNetwork {
  const isOurs = (name: string) => ownsDevice(DEFAULT_OWNERSHIP, name);
  const { table } = DEFAULT_OWNERSHIP;
  return {
    links: network.links.filter(({ name }) => isOurs(name)),
    settings: network.settings.filter(({ device }) => isOurs(device)),
    addresses: network.addresses.filter(({ device }) => isOurs(device)),
    nexthops: network.nexthops.filter(({ id }) => ownsNexthop(DEFAULT_OWNERSHIP, id)),
    routes: network.routes.filter((route) => route.table === table),
    rules: network.rules.filter((rule) => rule.table === table),
  };
}

export function applyNetworkChange(state: FakeState, change: NetworkChange): void {
  switch (change.kind) {
    case "add-dummy-link":
      addDummy(state, change);
      break;
    case "remove-link":
      removeLink(state, change.name);
      break;
    case "set-link": {
      const link = getLink(state, change, change.name);
      if (change.mtuBytes !== undefined) link.mtuBytes = change.mtuBytes;
      if (change.up !== undefined) setUp(state, link, change.up);
      break;
    }
    case "set-settings":
      getLink(state, change, change.settings.device).settings = change.settings;
      break;
    case "add-address":
      getLink(state, change, change.address.device);
      if (!state.addresses.some((other) => sameAddress(other, change.address))) state.addresses.push(change.address);
      break;
    case "remove-address":
      state.addresses = state.addresses.filter((other) => !sameAddress(other, change.address));
      break;
    case "replace-nexthop":
      replaceNexthop(state, change.nexthop);
      break;
    case "remove-nexthop":
      removeNexthop(state, change.id);
      break;
    case "replace-route":
      replaceRoute(state, change.route);
      break;
    case "remove-route": {
      const slot = slotOf(change.route);
      const present = state.routes.get(slot);
      if (present !== undefined && sameTarget(present, change.route)) state.routes.delete(slot);
      break;
    }
    case "add-rule":
      if (!state.rules.some((rule) => sameRule(rule, change.rule))) state.rules.push(change.rule);
      break;
    case "remove-rule":
      state.rules = state.rules.filter((rule) => !sameRule(rule, change.rule));
      break;
    default:
      change satisfies never;
  }
}

/** Takes along its addresses, its nexthops, and the routes of both. */
export function removeLink(state: FakeState, name: string): void {
  const link = state.links.get(name);
  if (link === undefined) return;
  setUp(state, link, false);
  state.links.delete(name);
  state.addresses = state.addresses.filter((address) => address.device !== name);
}

function addDummy(state: FakeState, change: Extract<NetworkChange, { kind: "add-dummy-link" }>): void {
  const present = state.links.get(change.name);
  if (present?.kind === "dummy") return;
  if (present !== undefined) throw kernelError(change, "EEXIST", "another device has this name");
  addLink(state, { kind: "dummy", name: change.name, mtuBytes: change.mtuBytes, device: undefined });
}

/** A device that goes down keeps its IPv4 addresses and loses everything else. */
function setUp(state: FakeState, link: FakeLink, up: boolean): void {
  link.up = up;
  if (up) return;
  state.addresses = state.addresses.filter(({ device, address }) => device !== link.name || !address.includes(":"));
  removeRoutes(state, ({ target }) => target.kind === "device" && target.device === link.name);
  for (const nexthop of [...state.nexthops.values()]) {
    if (nexthop.kind === "device" && nexthop.device === link.name) removeNexthop(state, nexthop.id);
  }
}

function replaceNexthop(state: FakeState, nexthop: Nexthop): void {
  const doing = `replace nexthop ${describeNexthop(nexthop)}`;
  const present = state.nexthops.get(nexthop.id);
  if (nexthop.kind === "device") {
    const link = state.links.get(nexthop.device);
    if (link === undefined) throw kernelError(doing, "ENODEV", "no such device");
    if (!link.up) throw kernelError(doing, "ENETDOWN", "Nexthop device is not up");
    if (present?.kind === "group")
      throw kernelError(doing, "EINVAL", "Can not replace a nexthop group with a single nexthop");
  } else {
    if (nexthop.members.length === 0) throw kernelError(doing, "EINVAL", "a group needs a member");
    for (const { id } of nexthop.members) {
      if (state.nexthops.get(id)?.kind !== "device") throw kernelError(doing, "EINVAL", "Invalid nexthop id");
    }
    if (present?.kind === "device")
      throw kernelError(doing, "EINVAL", "Can not replace a single nexthop with a nexthop group");
    const buckets = present?.resilientBuckets;
    if (present !== undefined && buckets !== nexthop.resilientBuckets) {
      throw kernelError(doing, "EINVAL", "Can not change the type or the number of buckets of a nexthop group");
    }
  }
  state.nexthops.set(nexthop.id, nexthop);
}

function removeNexthop(state: FakeState, id: number): void {
  if (!state.nexthops.delete(id)) return;
  removeRoutes(state, ({ target }) => target.kind === "nexthop" && target.id === id);
  for (const group of [...state.nexthops.values()]) {
    if (group.kind !== "group") continue;
    const members = group.members.filter((member) => member.id !== id);
    if (members.length === 0) removeNexthop(state, group.id);
    else if (members.length < group.members.length) state.nexthops.set(group.id, { ...group, members });
  }
}

function replaceRoute(state: FakeState, route: Route): void {
  const doing = `replace route ${describeRoute(route)}`;
  const { target } = route;
  const ipv6 = route.destination.includes(":");
  if (ipv6 && route.metric === 0) throw kernelError(doing, "EINVAL", "an IPv6 route has no metric 0: the best is 1024");
  if (target.kind === "nexthop") {
    const nexthop = state.nexthops.get(target.id);
    if (nexthop === undefined) throw kernelError(doing, "EINVAL", "Nexthop id does not exist");
    if (ipv6 && hasIpv4(state, nexthop)) throw kernelError(doing, "EINVAL", "IPv6 routes can not use an IPv4 nexthop");
  }
  if (target.kind === "device") {
    const link = state.links.get(target.device);
    if (link === undefined) throw kernelError(doing, "ENODEV", "no such device");
    if (!link.up) throw kernelError(doing, "ENETDOWN", "Device for nexthop is not up");
  }
  if (target.kind === "nexthop" || target.kind === "device") {
    const local = [...state.addresses, ...state.host.addresses].some(({ address }) => host(address) === target.source);
    if (!local) throw kernelError(doing, "EINVAL", ipv6 ? "Invalid source address" : "Invalid prefsrc address");
  }
  state.routes.set(slotOf(route), route);
}

function removeRoutes(state: FakeState, isLeaving: (route: ObservedRoute) => boolean): void {
  for (const [slot, route] of state.routes) if (isLeaving(route)) state.routes.delete(slot);
}

function sameTarget(a: ObservedRoute, b: ObservedRoute): boolean {
  if (a.target.kind === "nexthop") return b.target.kind === "nexthop" && a.target.id === b.target.id;
  if (a.target.kind === "device") return b.target.kind === "device" && a.target.device === b.target.device;
  return a.target.kind === b.target.kind;
}

function sameAddress(a: Address, b: Address): boolean {
  return a.device === b.device && a.address === b.address;
}

function sameRule(a: Rule, b: Rule): boolean {
  return (
    a.family === b.family &&
    a.priority === b.priority &&
    a.table === b.table &&
    a.notFwmark.mark === b.notFwmark.mark &&
    a.notFwmark.mask === b.notFwmark.mask
  );
}

function hasIpv4(state: FakeState, nexthop: Nexthop): boolean {
  if (nexthop.kind === "device") return nexthop.family === "ipv4";
  return nexthop.members.some(({ id }) => {
    const member = state.nexthops.get(id);
    return member !== undefined && hasIpv4(state, member);
  });
}

function getLink(state: FakeState, change: NetworkChange, name: string): FakeLink {
  const link = state.links.get(name);
  if (link === undefined) throw kernelError(change, "ENODEV", "no such device");
  return link;
}

function host(address: string): string {
  return address.slice(0, address.indexOf("/"));
}
