import { describe, expect, test } from "vitest";
import { flatten } from "./desired.ts";
import { compileOnce, EU, linesOf, planOf, testLocal, testMap, US } from "./testing.ts";

describe("a group of next hops", () => {
  test.each([
    { name: "all that serve", gateways: [{ ordinal: 0 }, { ordinal: 1 }], down: [], want: [100, 101] },
    { name: "not one that drains", gateways: [{ ordinal: 0, draining: true }, { ordinal: 1 }], down: [], want: [101] },
    {
      name: "those that drain when none serves",
      gateways: [
        { ordinal: 0, draining: true },
        { ordinal: 1, draining: true },
      ],
      down: [],
      want: [100, 101],
    },
    { name: "not one that is down", gateways: [{ ordinal: 0 }, { ordinal: 1 }], down: ["us.0"], want: [101] },
    {
      name: "one that drains rather than one that is down",
      gateways: [{ ordinal: 0 }, { ordinal: 1, draining: true }],
      down: ["us.0"],
      want: [101],
    },
    {
      name: "all when all are down",
      gateways: [{ ordinal: 0 }, { ordinal: 1 }],
      down: ["us.0", "us.1"],
      want: [100, 101],
    },
    {
      name: "not one that has said nothing",
      gateways: [{ ordinal: 0 }, { ordinal: 1, silent: true }],
      down: [],
      want: [100],
    },
  ])("holds $name", ({ gateways, down, want }) => {
    const map = testMap({ clusters: [EU, { ...US, gateways }] });
    const liveness = new Map(down.map((id) => [id, { down: true }]));
    const { nexthops } = flatten(compileOnce(map, testLocal(map, "eu"), liveness).desired);
    const group = nexthops.find(({ kind }) => kind === "group");
    expect(group?.kind === "group" && group.members.map(({ id }) => id - 518_000_000)).toEqual(want);
  });

  test("does not hold one that says that it drains before its statement does", () => {
    const map = testMap({ clusters: [EU, US] });
    const liveness = new Map([["us.0", { down: false, draining: true }]]);
    const { nexthops } = flatten(compileOnce(map, testLocal(map, "eu"), liveness).desired);
    const group = nexthops.find(({ kind }) => kind === "group");
    expect(group?.kind === "group" && group.members.map(({ id }) => id - 518_000_000)).toEqual([101]);
  });

  test("leaves out a gateway that neither side can dial, when another can be", () => {
    const quiet = { ...EU, gateways: [{ ordinal: 0, hosts: [] }] };
    const gateways = [{ ordinal: 0, hosts: [] }, { ordinal: 1 }];
    expect(
      linesOf(planOf({ clusters: [quiet, { ...US, gateways }] }, "eu"), "id 518000140", "NoPath"),
    ).toMatchInlineSnapshot(`"id 518000140 group 518000101 type resilient buckets 32"`);
  });
});

test("the plane that liveness asks for carries, if the remote has a key there", () => {
  const map = testMap({ clusters: [EU, US], epoch: { active: 0n, opening: 1n } });
  const liveness = new Map([["us.0", { down: false, plane: "b" as const }]]);
  const { nexthops } = flatten(compileOnce(map, testLocal(map, "eu"), liveness).desired);
  expect(nexthops).toContainEqual({ kind: "device", id: 518_000_100, family: "ipv4", device: "sw-b0" });
  expect(nexthops).toContainEqual({ kind: "device", id: 518_000_101, family: "ipv4", device: "sw-a1" });
});
