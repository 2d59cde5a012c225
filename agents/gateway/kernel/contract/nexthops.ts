/** @module The contract of NetworkPort: nexthops and groups. */
import { deepStrictEqual, rejects } from "node:assert/strict";
import type { Nexthop } from "@spanwire/core/desired/state";
import type { ContractCase } from "../contract.ts";
import {
  apply,
  G1,
  G2,
  GROUP,
  group,
  groupOf,
  prefixRoute,
  prepare,
  replaceNexthop,
  replaceRoute,
} from "./network-changes.ts";

export const nexthopContract: readonly ContractCase[] = [
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
];
