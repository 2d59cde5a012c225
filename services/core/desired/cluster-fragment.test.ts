import { describe, expect, test } from "vitest";
import { flatten } from "./desired.ts";
import type { Pairs } from "./local-facts.ts";
import type { KernelState } from "./state.ts";
import { compileOnce, EU, linesOf, planOf, testLocal, testMap, US } from "./testing.ts";

const UP = { down: false };
const HELD = { down: false, held: true };
const DOWN = { down: true };

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

  test.each([
    {
      name: "one that says that it drains before its statement does",
      seen: { down: false, draining: true },
      other: UP,
    },
    { name: "one that is up again but not for long", seen: HELD, other: UP },
    { name: "one that drains, where the other is up again", seen: { down: false, draining: true }, other: HELD },
    {
      name: "one that drained and is down, where the other is down",
      seen: { down: true, draining: true },
      other: DOWN,
    },
    { name: "one that is down, where the other is up again", seen: DOWN, other: HELD },
  ])("does not hold $name", ({ seen, other }) => {
    const map = testMap({ clusters: [EU, US] });
    const liveness = new Map([
      ["us.0", seen],
      ["us.1", other],
    ]);
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

describe("in a rotation", () => {
  const map = testMap({ clusters: [EU, US], epoch: { active: 0n, opening: 1n } });
  const compileWith = (pairs: Pairs) => flatten(compileOnce(map, testLocal(map, "eu"), new Map(), pairs).desired);
  const lanesOfUs = ({ peers }: KernelState) => peers.map(({ device }) => device);

  test("both epochs have peers, and the active one's carry, until a pair says otherwise", () => {
    const { peers, nexthops } = compileWith(new Map());
    expect(peers.map(({ device }) => device)).toEqual(["sw-a0", "sw-a1", "sw-b0", "sw-b1"]);
    expect(nexthops).toContainEqual({ kind: "device", id: 518_000_100, family: "ipv4", device: "sw-a0" });
  });

  test("the epoch that a pair sends on carries, with this gateway alone", () => {
    const { nexthops } = compileWith(new Map([["us.0", { build: [0n, 1n], sendOn: 1n }]]));
    expect(nexthops).toContainEqual({ kind: "device", id: 518_000_100, family: "ipv4", device: "sw-b0" });
    expect(nexthops).toContainEqual({ kind: "device", id: 518_000_101, family: "ipv4", device: "sw-a1" });
  });

  test("a pair holds the peers that it says, as far as there are keys", () => {
    expect(lanesOfUs(compileWith(new Map([["us.0", { build: [1n, 2n], sendOn: 1n }]])))).toEqual([
      "sw-a1",
      "sw-b0",
      "sw-b1",
    ]);
  });

  test("a key that is left of a former epoch keeps its lanes and no peers but those that a pair says", () => {
    const settled = testMap({ clusters: [EU, US], epoch: { active: 1n } });
    const [theirs] = settled.statements.get("gateway.us.0")?.statement.keys ?? [];
    theirs && settled.statements.get("gateway.us.0")?.statement.keys.push({ ...theirs, epoch: 0n, plane: 1 });
    const local = testLocal(settled, "eu");
    const both = { ...local, keys: [...local.keys, { epoch: 0n, publicKey: "former" }] };
    const plain = flatten(compileOnce(settled, both).desired);
    expect(lanesOfUs(plain)).toEqual(["sw-b0", "sw-b1"]);
    expect(plain.links.map(({ name }) => name)).toContain("sw-a0");
    const pairs = new Map([["us.0", { build: [0n], sendOn: 0n }]]);
    expect(lanesOfUs(flatten(compileOnce(settled, both, new Map(), pairs).desired))).toEqual(["sw-a0", "sw-b1"]);
  });
});
