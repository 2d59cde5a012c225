/** @module The contract of NetworkPort: routes and rules, and what a device or an address takes along. */
import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import type { Route } from "@spanwire/core/desired/state";
import type { ContractCase } from "../contract.ts";
import {
  apply,
  G1,
  G1_IPV6,
  G2,
  groupOf,
  MARK,
  prefixRoute,
  prepare,
  removeRoute,
  replaceNexthop,
  replaceRoute,
  route,
  STABLE,
  STABLE_IPV6,
  TABLE,
} from "./network-changes.ts";

export const routeContract: readonly ContractCase[] = [
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
];
