import { DefaultLinks } from "@spanwire/proto/record";
import { expect, test } from "vitest";
import { compileOnce, EU, PLANT, type TestMesh, testLocal, testMap, US } from "../desired/testing.ts";
import { probedLanes } from "./probed-lanes.ts";

const NAT = { id: "nat", block: 3, prefixes: ["10.4.0.0/24"], gateways: [{ ordinal: 0, silent: true }] };

function lanesOf(mesh: Partial<TestMesh>, ipv6: "routed" | "guarded" = "guarded"): string[] {
  const map = testMap({ clusters: [EU, US, PLANT, NAT], ...mesh });
  const { clusters } = compileOnce(map, testLocal(map, "eu", 1, { ipv6 })).desired;
  const lanes = [...clusters].flatMap(([id, fragment]) => probedLanes(id, fragment));
  return lanes.map(({ gateway, plane, from, to }) => `${gateway} ${plane} ${from} -> ${to}`);
}

const ON_A = [
  "us.0 a 198.18.0.17 -> 198.18.0.80",
  "us.1 a 198.18.0.17 -> 198.18.0.81",
  "plant.0 a 198.18.0.17 -> 198.18.0.144",
];

test("one for each peer, from our address on the plane to its; none to a gateway that has said nothing", () => {
  expect(lanesOf({})).toEqual(ON_A);
});

test("on both planes while an epoch is open", () => {
  expect(lanesOf({ epoch: { active: 2n, opening: 3n } })).toEqual([
    "us.0 a 198.18.0.17 -> 198.18.0.80",
    "us.0 b 198.18.0.33 -> 198.18.0.96",
    "us.1 a 198.18.0.17 -> 198.18.0.81",
    "us.1 b 198.18.0.33 -> 198.18.0.97",
    "plant.0 a 198.18.0.17 -> 198.18.0.144",
    "plant.0 b 198.18.0.33 -> 198.18.0.160",
  ]);
});

test("by IPv4 alone, also where the lanes carry IPv6", () => {
  expect(lanesOf({}, "routed")).toEqual(ON_A);
});

test("none to a cluster that is not linked", () => {
  expect(lanesOf({ policy: { defaultLinks: DefaultLinks.NONE } })).toEqual([]);
});
