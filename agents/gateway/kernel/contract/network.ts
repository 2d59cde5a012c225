/** @module The contract of NetworkPort. */
import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import type { Nexthop, Route } from "@spanwire/core/desired/state";
import type { NetworkChange } from "../change.ts";
import type { ContractCase, ContractNames } from "../contract.ts";
import type { Kernel } from "../port.ts";

const TABLE = 5180;
const G1 = 518_000_100;
const G2 = 518_000_101;
const G1_IPV6 = 518_000_150;
const GROUP = 518_000_140;
const STABLE = "198.18.0.1";
const STABLE_IPV6 = "fd00::1";
const MARK = { mark: 0x1000, mask: 0x1000 };

export const networkContract: readonly ContractCase[] = [
  {
    name: "begins with nothing of ours",
    run: async ({ network }) => {
      const nothing = { links: [], settings: [], addresses: [], nexthops: [], routes: [], rules: [] };
      deepStrictEqual(await network.observe(), nothing);
    },
  },
  {
    name: "makes the stable device and its addresses, twice without effect, and removes them",
    run: async (kernel, { stable }) => {
      const steps: NetworkChange[] = [
        { kind: "add-dummy-link", name: stable, mtuBytes: 1400 },
        { kind: "set-link", name: stable, up: true },
        { kind: "add-address", address: { device: stable, address: `${STABLE}/32` } },
        { kind: "add-address", address: { device: stable, address: `${STABLE_IPV6}/128` } },
      ];
      await apply(kernel, ...steps, ...steps);
      const { links, addresses } = await kernel.network.observe();
      deepStrictEqual(links, [{ kind: "dummy", name: stable, mtuBytes: 1400, up: true }]);
      deepStrictEqual(addresses, [
        { device: stable, address: `${STABLE}/32` },
        { device: stable, address: `${STABLE_IPV6}/128` },
      ]);
      const removal: NetworkChange[] = [
        { kind: "remove-address", address: { device: stable, address: `${STABLE}/32` } },
        { kind: "remove-link", name: stable },
      ];
      await apply(kernel, ...removal, ...removal);
      deepStrictEqual((await kernel.network.observe()).links, []);
    },
  },
  {
    name: "sets MTU, state and the IPv4 settings of a device, each alone",
    run: async (kernel, { stable }) => {
      await apply(
        kernel,
        { kind: "add-dummy-link", name: stable, mtuBytes: 1400 },
        { kind: "set-settings", settings: { device: stable, rpFilter: 2, forwarding: true } },
        { kind: "set-link", name: stable, mtuBytes: 1300 },
        { kind: "set-link", name: stable, up: true },
      );
      const { links, settings } = await kernel.network.observe();
      deepStrictEqual(links, [{ kind: "dummy", name: stable, mtuBytes: 1300, up: true }]);
      deepStrictEqual(settings, [{ device: stable, rpFilter: 2, forwarding: true }]);
      await apply(
        kernel,
        { kind: "set-settings", settings: { device: stable, rpFilter: 1, forwarding: false } },
        { kind: "set-link", name: stable, up: false },
      );
      const changed = await kernel.network.observe();
      strictEqual(changed.links[0]?.up, false);
      deepStrictEqual(changed.settings, [{ device: stable, rpFilter: 1, forwarding: false }]);
    },
  },
  {
    name: "says which device is missing",
    run: async ({ network }, { stable }) => {
      const missing = { code: "kernel", reason: "ENODEV" };
      await rejects(network.apply({ kind: "set-link", name: stable, up: true }), missing);
      await rejects(
        network.apply({ kind: "add-address", address: { device: stable, address: "198.18.0.1/32" } }),
        missing,
      );
      await rejects(network.apply(replaceNexthop({ kind: "device", id: G1, family: "ipv4", device: stable })), missing);
      await network.apply({ kind: "remove-link", name: stable });
      await network.apply({ kind: "remove-address", address: { device: stable, address: "198.18.0.1/32" } });
    },
  },
  {
    name: "points a nexthop at another lane in one step, and its group and routes follow",
    run: async (kernel, names) => {
      const [lane, other] = names.lanes;
      await prepare(kernel, names);
      await apply(kernel, ...groupOf(lane), replaceRoute(prefixRoute()));
      await apply(kernel, replaceNexthop({ kind: "device", id: G1, family: "ipv4", device: other }));
      const { nexthops, routes } = await kernel.network.observe();
      deepStrictEqual(nexthops[0], { kind: "device", id: G1, family: "ipv4", device: other });
      deepStrictEqual(routes, [prefixRoute()]);
    },
  },
  {
    name: "replaces the members of a group in one step",
    run: async (kernel, names) => {
      const [lane, other] = names.lanes;
      await prepare(kernel, names);
      await apply(
        kernel,
        ...groupOf(lane),
        replaceRoute(prefixRoute()),
        replaceNexthop({ kind: "device", id: G2, family: "ipv4", device: other }),
        replaceNexthop(group([G1, G2], 32)),
      );
      deepStrictEqual((await kernel.network.observe()).nexthops.at(-1), group([G1, G2], 32));
      await apply(kernel, replaceNexthop(group([G2], 32)));
      const { nexthops, routes } = await kernel.network.observe();
      deepStrictEqual(nexthops.at(-1), group([G2], 32));
      deepStrictEqual(routes, [prefixRoute()]);
    },
  },
  {
    name: "a removed nexthop leaves its groups, and the last member takes group and routes along",
    run: async (kernel, names) => {
      const [lane, other] = names.lanes;
      await prepare(kernel, names);
      await apply(
        kernel,
        ...groupOf(lane),
        replaceNexthop({ kind: "device", id: G2, family: "ipv4", device: other }),
        replaceNexthop(group([G1, G2], 32)),
        replaceRoute(prefixRoute()),
        { kind: "remove-nexthop", id: G1 },
      );
      deepStrictEqual((await kernel.network.observe()).nexthops.at(-1), group([G2], 32));
      await apply(kernel, { kind: "remove-nexthop", id: G2 }, { kind: "remove-nexthop", id: G2 });
      const { nexthops, routes } = await kernel.network.observe();
      deepStrictEqual([nexthops, routes], [[], []]);
    },
  },
  {
    name: "a group keeps its type and its buckets",
    run: async (kernel, names) => {
      await prepare(kernel, names);
      await apply(kernel, ...groupOf(names.lanes[0]));
      await rejects(kernel.network.apply(replaceNexthop(group([G1], 64))), { code: "kernel", reason: "EINVAL" });
      await rejects(kernel.network.apply(replaceNexthop(group([G1], undefined))), { code: "kernel", reason: "EINVAL" });
      deepStrictEqual((await kernel.network.observe()).nexthops.at(-1), group([G1], 32));
    },
  },
  {
    name: "makes hash-threshold groups and keeps weights",
    run: async (kernel, names) => {
      await prepare(kernel, names);
      const weighted: Nexthop = {
        kind: "group",
        id: GROUP,
        members: [
          { id: G1, weight: 1 },
          { id: G2, weight: 3 },
        ],
        resilientBuckets: undefined,
      };
      await apply(
        kernel,
        replaceNexthop({ kind: "device", id: G1, family: "ipv4", device: names.lanes[0] }),
        replaceNexthop({ kind: "device", id: G2, family: "ipv4", device: names.lanes[1] }),
        replaceNexthop(weighted),
      );
      deepStrictEqual((await kernel.network.observe()).nexthops.at(-1), weighted);
    },
  },
  {
    name: "reads every kind of route back as it was written, twice without effect",
    run: async (kernel, names) => {
      const [lane] = names.lanes;
      await prepare(kernel, names);
      const ipv4: Route[] = [
        { table: TABLE, destination: "10.1.0.0/16", metric: 0, target: { kind: "throw" } },
        prefixRoute(),
        { table: TABLE, destination: "10.2.0.0/16", metric: 4096, target: { kind: "blackhole" } },
        route("198.18.0.65/32", { kind: "device", device: lane, source: STABLE }),
        { ...route("198.18.0.66/32", { kind: "nexthop", id: G1, source: STABLE }), mtuBytes: 1380 },
      ];
      const ipv6: Route[] = [
        { table: TABLE, destination: "fd00:1::/64", metric: 1024, target: { kind: "throw" } },
        route("fd00:2::/64", { kind: "nexthop", id: G1_IPV6, source: STABLE_IPV6 }, 1024),
        { table: TABLE, destination: "fd00:2::/64", metric: 4096, target: { kind: "blackhole" } },
        { ...route("fd00:3::5/128", { kind: "device", device: lane, source: STABLE_IPV6 }, 1024), mtuBytes: 1380 },
      ];
      const nexthopIpv6 = replaceNexthop({ kind: "device", id: G1_IPV6, family: "ipv6", device: lane });
      const routes = [...ipv4, ...ipv6];
      await apply(kernel, ...groupOf(lane), nexthopIpv6, ...routes.map(replaceRoute), ...routes.map(replaceRoute));
      deepStrictEqual((await kernel.network.observe()).routes, routes);
      await apply(kernel, ...routes.map(removeRoute), ...routes.map(removeRoute));
      deepStrictEqual((await kernel.network.observe()).routes, []);
    },
  },
  {
    name: "replaces a route by one of another kind in one step",
    run: async (kernel, names) => {
      await prepare(kernel, names);
      const throwing: Route = { table: TABLE, destination: "10.2.0.0/16", metric: 0, target: { kind: "throw" } };
      await apply(kernel, ...groupOf(names.lanes[0]), replaceRoute(throwing), replaceRoute(prefixRoute()));
      deepStrictEqual((await kernel.network.observe()).routes, [prefixRoute()]);
    },
  },
  {
    name: "removing a route that is gone leaves the blackhole of the same prefix",
    run: async (kernel, names) => {
      const [lane] = names.lanes;
      await prepare(kernel, names);
      const blackhole: Route = {
        table: TABLE,
        destination: "10.2.0.0/16",
        metric: 4096,
        target: { kind: "blackhole" },
      };
      const blackholeIpv6: Route = { ...blackhole, destination: "fd00:2::/64" };
      await apply(
        kernel,
        ...groupOf(lane),
        replaceRoute(blackhole),
        replaceRoute(blackholeIpv6),
        removeRoute(prefixRoute()),
        removeRoute(route("10.2.0.0/16", { kind: "device", device: lane, source: STABLE })),
        removeRoute({ table: TABLE, destination: "10.2.0.0/16", metric: 0, target: { kind: "throw" } }),
        removeRoute(route("fd00:2::/64", { kind: "device", device: lane, source: STABLE_IPV6 }, 1024)),
      );
      deepStrictEqual((await kernel.network.observe()).routes, [blackhole, blackholeIpv6]);
    },
  },
  {
    name: "refuses a route whose nexthop or source is missing, with a sentence",
    run: async (kernel, names) => {
      await prepare(kernel, names);
      await rejects(
        kernel.network.apply(replaceRoute(route("10.2.0.0/16", { kind: "nexthop", id: G2, source: STABLE }))),
        /replace route 10\.2\.0\.0\/16 nhid 518000101 .*Nexthop id does not exist/,
      );
      await rejects(
        kernel.network.apply(
          replaceRoute(route("10.2.0.0/16", { kind: "device", device: names.lanes[0], source: "198.18.0.9" })),
        ),
        /Invalid prefsrc address/,
      );
      await rejects(
        kernel.network.apply(
          replaceRoute(route("fd00:2::/64", { kind: "device", device: names.lanes[0], source: STABLE_IPV6 }, 0)),
        ),
        /an IPv6 route has no metric 0/,
      );
    },
  },
  {
    name: "refuses what needs a device that is up while it is down",
    run: async (kernel, names) => {
      const [lane] = names.lanes;
      await prepare(kernel, names);
      await apply(kernel, { kind: "set-link", name: lane, up: false });
      const nexthop = replaceNexthop({ kind: "device", id: G1, family: "ipv4", device: lane });
      await rejects(kernel.network.apply(nexthop), { code: "kernel", reason: "ENETDOWN" });
      const direct = replaceRoute(route("10.2.0.0/16", { kind: "device", device: lane, source: STABLE }));
      await rejects(kernel.network.apply(direct), { code: "kernel", reason: "ENETDOWN" });
    },
  },
  ...(["down", "removed"] as const).map(
    (how): ContractCase => ({
      name: `a lane that is ${how} takes nexthops, groups and routes along and leaves the blackholes`,
      run: async (kernel, names) => {
        const [lane] = names.lanes;
        await prepare(kernel, names);
        const blackhole: Route = {
          table: TABLE,
          destination: "10.2.0.0/16",
          metric: 4096,
          target: { kind: "blackhole" },
        };
        await apply(
          kernel,
          ...groupOf(lane),
          replaceRoute(prefixRoute()),
          replaceRoute(blackhole),
          replaceRoute(route("198.18.0.81/32", { kind: "device", device: lane, source: STABLE })),
        );
        if (how === "down") await apply(kernel, { kind: "set-link", name: lane, up: false });
        else await kernel.wireguard.apply({ kind: "remove-wireguard-link", name: lane });
        const { nexthops, routes, links } = await kernel.network.observe();
        deepStrictEqual([nexthops, routes], [[], [blackhole]]);
        strictEqual(links.find(({ name }) => name === lane)?.up, how === "down" ? false : undefined);
      },
    }),
  ),
  {
    name: "a lane that is down keeps its IPv4 address, loses its IPv6 one, and needs its routes again",
    run: async (kernel, names) => {
      const [device] = names.lanes;
      await prepare(kernel, names);
      const addresses = ["198.18.0.17/32", "fd00::11/128"].map((address) => ({ device, address }));
      for (const address of addresses) await apply(kernel, { kind: "add-address", address });
      await apply(kernel, { kind: "set-link", name: device, up: false }, { kind: "set-link", name: device, up: true });
      const { addresses: left } = await kernel.network.observe();
      deepStrictEqual(
        left.filter((address) => address.device === device),
        addresses.slice(0, 1),
      );
    },
  },
  {
    name: "an address that goes leaves the routes of our table that have it as their source",
    run: async (kernel, names) => {
      const [lane] = names.lanes;
      await prepare(kernel, names);
      await apply(
        kernel,
        ...groupOf(lane),
        replaceRoute(prefixRoute()),
        replaceRoute(route("fd00:2::/64", { kind: "device", device: lane, source: STABLE_IPV6 }, 1024)),
        { kind: "remove-address", address: { device: names.stable, address: `${STABLE}/32` } },
        { kind: "remove-address", address: { device: names.stable, address: `${STABLE_IPV6}/128` } },
      );
      const { routes } = await kernel.network.observe();
      deepStrictEqual(routes[0], prefixRoute());
      strictEqual(routes.length, 2);
    },
  },
  {
    name: "adds and removes rules of both families, twice without effect",
    run: async (kernel) => {
      const rules = (["ipv4", "ipv6"] as const).map((family) => ({
        family,
        priority: 5180,
        notFwmark: MARK,
        table: TABLE,
      }));
      const added = rules.map((rule) => ({ kind: "add-rule", rule }) as const);
      await apply(kernel, ...added, ...added);
      deepStrictEqual((await kernel.network.observe()).rules, rules);
      const removed = rules.map((rule) => ({ kind: "remove-rule", rule }) as const);
      await apply(kernel, ...removed, ...removed);
      deepStrictEqual((await kernel.network.observe()).rules, []);
    },
  },
  {
    name: "wakes a watcher at once, then after a change, and lets it go",
    run: async (kernel, { stable }) => {
      const stop = new AbortController();
      const events = kernel.network.watch(stop.signal)[Symbol.asyncIterator]();
      strictEqual((await events.next()).done, false);
      await apply(kernel, { kind: "add-dummy-link", name: stable, mtuBytes: 1400 });
      strictEqual((await events.next()).done, false);
      stop.abort();
      let last = await events.next();
      while (last.done !== true) last = await events.next();
    },
  },
  {
    name: "lists neither our devices nor our routes as the host's",
    run: async (kernel, names) => {
      await prepare(kernel, names);
      await apply(
        kernel,
        replaceRoute(route("10.2.0.0/16", { kind: "device", device: names.lanes[0], source: STABLE })),
      );
      const host = await kernel.network.host();
      const ours = new Set([names.stable, ...names.lanes]);
      deepStrictEqual(
        host.addresses.filter(({ device }) => ours.has(device)),
        [],
      );
      deepStrictEqual(
        [...host.connected, ...host.routed].filter(({ device, table }) => ours.has(device) || table === TABLE),
        [],
      );
      deepStrictEqual(
        host.devices.filter(({ name }) => ours.has(name)),
        [],
      );
    },
  },
];

/** The stable device and two lanes, all up, with the addresses that routes take as source. */
async function prepare(kernel: Kernel, { stable, lanes }: ContractNames): Promise<void> {
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

function groupOf(device: string): NetworkChange[] {
  return [replaceNexthop({ kind: "device", id: G1, family: "ipv4", device }), replaceNexthop(group([G1], 32))];
}

function group(ids: readonly number[], resilientBuckets: number | undefined): Nexthop {
  return { kind: "group", id: GROUP, members: ids.map((id) => ({ id, weight: 1 })), resilientBuckets };
}

function prefixRoute(): Route {
  return route("10.2.0.0/16", { kind: "nexthop", id: GROUP, source: STABLE });
}

function route(destination: string, target: Route["target"], metric = 0): Route {
  return { table: TABLE, destination, metric, target };
}

function replaceNexthop(nexthop: Nexthop): NetworkChange {
  return { kind: "replace-nexthop", nexthop };
}

function replaceRoute(wanted: Route): NetworkChange {
  return { kind: "replace-route", route: wanted };
}

function removeRoute(unwanted: Route): NetworkChange {
  return { kind: "remove-route", route: unwanted };
}

async function apply(kernel: Kernel, ...changes: readonly NetworkChange[]): Promise<void> {
  for (const change of changes) await kernel.network.apply(change);
}
