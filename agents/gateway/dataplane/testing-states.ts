/** @module Wishes, accidents and promises for property tests. */
import { containsCidr, parseCidr } from "@spanwire/core/address/cidr";
import type { Desired } from "@spanwire/core/desired/desired";
import type { KernelState } from "@spanwire/core/desired/state";
import type { TestCluster, TestGateway as TestRemote } from "@spanwire/core/desired/testing";
import { generateWireGuardKey } from "@spanwire/runtime/crypto/wireguard-key";
import fc from "fast-check";
import type { Change } from "../kernel/change.ts";
import type { Observed } from "./observe.ts";
import { EU, testGateway } from "./testing.ts";

const REMOTES = [
  { id: "us", block: 1 },
  { id: "plant", block: 2 },
  { id: "asia", block: 3 },
] as const;
const POOL = ["10.2.0.0/16", "10.3.0.0/24", "10.4.0.0/24", "fd00:2::/64", "fd00:3::/64"] as const;

const anyRemoteGateways: fc.Arbitrary<readonly TestRemote[]> = fc
  .subarray<TestRemote>([{ ordinal: 0 }, { ordinal: 1 }, { ordinal: 1, draining: true }, { ordinal: 0, hosts: [] }])
  .map((gateways) => [...new Map(gateways.map((gateway) => [gateway.ordinal, gateway])).values()]);

/** Three clusters that come and go, and a pool of prefixes that wander between them; all else that a wish depends on. */
export const anyWish: fc.Arbitrary<Desired> = fc
  .record({
    present: fc.subarray([...REMOTES]),
    owners: fc.tuple(...POOL.map(() => fc.integer({ min: 0, max: REMOTES.length }))),
    gateways: fc.tuple(...REMOTES.map(() => anyRemoteGateways)),
    epoch: fc.constantFrom({ active: 0n }, { active: 0n, opening: 1n }, { active: 1n, opening: 0n }, { active: 1n }),
    down: fc.subarray(["us.0", "us.1", "plant.0", "plant.1"]),
    onB: fc.subarray(["us.0", "us.1", "plant.0", "asia.1"]),
    ipv6: fc.constantFrom("routed", "guarded", "off"),
    snat: fc.subarray(["192.168.7.0/24"]),
    revoked: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  })
  .map(({ present, owners, gateways, epoch, down, onB, ipv6, snat, revoked }) => {
    const remotes = present.map(({ id, block }): TestCluster => {
      const at = REMOTES.findIndex((each) => each.id === id);
      return { id, block, prefixes: POOL.filter((_, i) => owners[i] === at), gateways: gateways[at] ?? [] };
    });
    const gateway = testGateway({ clusters: revoked ? remotes : [EU, ...remotes], epoch });
    const liveness = new Map(down.map((id) => [id, { down: true }]));
    const pairs = new Map(onB.map((id) => [id, { build: [0n, 1n], sendOn: 1n }]));
    return gateway.compile({ liveness, pairs, facts: { ipv6, snat } }).desired;
  });

/** What somebody does by hand to what is there; undefined where there is nothing to do it to. */
export type Misdeed = (observed: Observed) => Change | "alter firewall" | undefined;

const STRANGER = generateWireGuardKey();

export const anyMisdeed: fc.Arbitrary<Misdeed> = fc
  .record({ kind: fc.nat(), which: fc.nat() })
  .map(({ kind, which }): Misdeed => {
    return (observed) => {
      const misdeeds = misdeedsOn(observed, <T>(items: readonly T[]) => items[which % Math.max(1, items.length)]);
      return misdeeds[kind % misdeeds.length]?.();
    };
  });

function misdeedsOn(
  { network, devices }: Observed,
  pick: <T>(items: readonly T[]) => T | undefined,
): readonly (() => Change | "alter firewall" | undefined)[] {
  const link = pick(network.links);
  const device = pick([...devices.values()]);
  const peer = device && pick(device.peers);
  const nexthop = pick(network.nexthops);
  const route = pick(network.routes);
  const address = pick(network.addresses);
  const rule = pick(network.rules);
  return [
    () => "alter firewall",
    () => ({ kind: "remove-firewall" }),
    () => link && { kind: "remove-link", name: link.name },
    () => link && { kind: "set-link", name: link.name, up: false },
    () => link && { kind: "set-link", name: link.name, mtuBytes: 1280 },
    () => link && { kind: "set-settings", settings: { device: link.name, rpFilter: 1, forwarding: false } },
    () => device && { kind: "set-wireguard-device", device: device.name, privateKey: STRANGER.privateKey, fwmark: 7 },
    () => peer && device && { kind: "remove-peer", device: device.name, publicKey: peer.publicKey },
    () =>
      device && {
        kind: "add-peer",
        device: device.name,
        publicKey: STRANGER.publicKey,
        keepaliveSeconds: 0,
        allowedIps: peer?.allowedIps ?? ["0.0.0.0/0"],
      },
    () =>
      peer &&
      device && {
        kind: "remove-allowed-ips",
        device: device.name,
        publicKey: peer.publicKey,
        allowedIps: peer.allowedIps.slice(0, 1),
      },
    () => nexthop && { kind: "remove-nexthop", id: nexthop.id },
    () => route && { kind: "remove-route", route },
    () => ({
      kind: "replace-route",
      route: { table: 5180, destination: "10.9.0.0/16", metric: 0, target: { kind: "throw" } },
    }),
    () => address && { kind: "remove-address", address },
    () => link && { kind: "add-address", address: { device: link.name, address: "172.16.0.9/32" } },
    () => rule && { kind: "remove-rule", rule },
    () => rule && { kind: "add-rule", rule: { ...rule, priority: 99 } },
  ];
}

/** Every promise that a run broke, as sentences. `states` are those before, between and after the changes. */
export function lostProtection(
  desired: KernelState,
  changes: readonly Change[],
  states: readonly Observed[],
): readonly string[] {
  const [start] = states;
  const guarded = guardAfterEach(changes);
  const wanted = new Set(desired.firewall?.remote);
  const broken: string[] = [];
  states.forEach((state, at) => {
    const report = (what: string) => broken.push(`after ${at} of ${changes.length} changes: ${what}`);
    const routes = new Set(state.network.routes.map(routeSlot));
    const covered = coverOf(state, guarded[at]);

    // A firewall write, where one is needed, is the very first change: from then on every wanted prefix is guarded.
    const guard = guarded[at];
    if (at > 0 && guard !== undefined) {
      for (const prefix of wanted) if (!guard.has(prefix)) report(`${prefix} is not guarded`);
    }
    for (const route of state.network.routes) {
      const { destination, target } = route;
      if (target.kind !== "nexthop" && target.kind !== "device") continue;
      const wasCovered = start !== undefined && coverOf(start, undefined)(destination);
      if (wasCovered && !covered(destination)) report(`${destination} is routed with nothing behind it`);
    }
    if (start === undefined) return;
    for (const { device, address } of start.network.addresses) {
      const isWanted = desired.addresses.some((each) => each.device === device && each.address === address);
      const isThere = state.network.addresses.some((each) => each.device === device && each.address === address);
      if (isWanted && !isThere) report(`address ${address} of ${device} is gone`);
    }
    for (const slot of keptSlots(desired, start)) if (!routes.has(slot)) report(`route ${slot} is gone`);
    const owners = ownersOf(state);
    for (const slot of ownersOf(start)) {
      const isWanted = desired.peers.some(({ device, allowedIps }) =>
        allowedIps.some((ip) => `${device} ${ip}` === slot),
      );
      if (isWanted && !owners.has(slot)) report(`allowed ip ${slot} belongs to nobody`);
    }
  });
  const [first] = changes;
  const writes = changes.some(({ kind }) => kind === "replace-firewall");
  if (writes && first?.kind !== "replace-firewall") broken.push("the firewall is not written first");
  for (const change of changes) if (change.kind === "set-endpoint") broken.push("an endpoint is written to a peer");
  return broken;
}

/** The guarded prefixes after each change; undefined until this run writes them. */
function guardAfterEach(changes: readonly Change[]): readonly (ReadonlySet<string> | undefined)[] {
  const guards: (ReadonlySet<string> | undefined)[] = [undefined];
  for (const change of changes) {
    guards.push(change.kind === "replace-firewall" ? new Set(change.firewall.remote) : guards.at(-1));
  }
  return guards;
}

function coverOf({ network }: Observed, guard: ReadonlySet<string> | undefined): (destination: string) => boolean {
  const holes = network.routes
    .filter(({ target }) => target.kind === "blackhole")
    .map(({ destination }) => destination);
  const covers = [...holes, ...(guard ?? [])].map(parseCidr);
  return (destination) => covers.some((cover) => containsCidr(cover, parseCidr(destination)));
}

/** Slots of routes that are there and stay wanted; a group of another size takes its routes along, and is excepted. */
function keptSlots(desired: KernelState, { network }: Observed): readonly string[] {
  const wanted = new Set(desired.routes.map(routeSlot));
  return network.routes.map(routeSlot).filter((slot) => wanted.has(slot));
}

function ownersOf({ devices }: Observed): ReadonlySet<string> {
  const slots = [...devices.values()].flatMap(({ name, peers }) =>
    peers.flatMap(({ allowedIps }) => allowedIps.map((ip) => `${name} ${ip}`)),
  );
  return new Set(slots);
}

function routeSlot({ destination, metric }: { readonly destination: string; readonly metric: number }): string {
  return `${destination} ${metric}`;
}
