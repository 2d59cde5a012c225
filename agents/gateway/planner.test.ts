import { DEFAULT_ROUTING } from "@spanwire/core/desired/local-facts";
import { putCluster, testMap } from "@spanwire/core/desired/testing";
import type { OpenedRecord } from "@spanwire/core/records/open";
import { generateWireGuardKey } from "@spanwire/runtime/crypto/wireguard-key";
import { describe, expect, test } from "vitest";
import { EU, US } from "./dataplane/testing.ts";
import { raiseGuard } from "./guard.ts";
import { FakeKernel } from "./kernel/fake/fake-kernel.ts";
import { changedClusters, Planner } from "./planner.ts";

const self = { clusterId: "eu", ordinal: 0 };
const settings = {
  basePort: 51820,
  mtuBytes: 1420,
  ipv6: "off",
  snat: [],
  resilientBuckets: 32,
  routing: DEFAULT_ROUTING,
} as const;
const keys = [{ epoch: 0n, plane: "a", ...generateWireGuardKey() }] as const;

function start() {
  const map = testMap({ clusters: [EU, US] });
  const planner = new Planner(map, self, settings);
  planner.observe({ keys });
  return { map, planner };
}

describe("observed facts", () => {
  test.each([
    { name: "the same", facts: { keys, connected: [], control: [] }, want: false },
    {
      name: "another key",
      facts: { keys: [{ epoch: 0n, plane: "a", ...generateWireGuardKey() }] as const },
      want: true,
    },
    { name: "a new network", facts: { connected: [{ device: "lan", network: "10.9.0.0/24" }] }, want: true },
    { name: "a new route", facts: { localRoutes: ["10.9.0.0/24"] }, want: true },
    {
      name: "a device that forwards no more",
      facts: { notForwarding: [{ device: "lan", network: "10.1.0.0/24" }] },
      want: true,
    },
    { name: "no IPv6 forwarding", facts: { ipv6Forwarding: false }, want: true },
    { name: "a control address", facts: { control: ["192.0.2.9"] }, want: true },
  ])("$name: $want", ({ facts, want }) => {
    expect(start().planner.observe(facts)).toBe(want);
  });

  test("are part of the next plan", () => {
    const { planner } = start();
    planner.plan("all");
    planner.observe({ connected: [{ device: "lan", network: "10.9.0.0/24" }] });
    expect(planner.plan("all")?.compiled.baseChanged).toBe(true);
  });
});

test("tells when the conditions have changed", () => {
  const { map, planner } = start();
  expect(planner.plan("all")?.conditionsChanged).toBe(true);
  expect(planner.plan("all")?.conditionsChanged).toBe(false);
  putCluster(map, { ...US, gateways: [] });
  expect(planner.plan(new Set(["us"]))?.conditionsChanged).toBe(true);
  expect(planner.conditions.map(({ type, subject }) => `${type} ${subject}`)).toEqual(["NoGateway cluster us"]);
  putCluster(map, US);
  expect(planner.plan(new Set(["us"]))?.conditionsChanged).toBe(true);
  expect(planner.conditions).toEqual([]);
});

test.each([
  { keys: ["gateway.us.0", "cluster.eu", "gateway.us.1"], want: new Set(["us", "eu"]) },
  { keys: ["gateway.us.0", "epoch"], want: "all" },
  { keys: ["export.eu.shop.api"], want: "all" },
  { keys: [], want: new Set() },
])("records $keys change $want", ({ keys, want }) => {
  expect(changedClusters(keys.map((key) => ({ key }) as OpenedRecord))).toEqual(want);
});

describe("the boot guard", () => {
  test("lets no packet of the mesh out or in before there is a lane", async () => {
    const kernel = new FakeKernel();
    const { failures } = await raiseGuard(kernel, start().planner);
    expect(failures).toEqual([]);
    expect(kernel.toString()).toMatchInlineSnapshot(`
      "route throw 10.1.0.0/16 table 5180
      route blackhole 10.2.0.0/16 table 5180 metric 4096
      route blackhole 198.18.0.64/26 table 5180 metric 4096
      rule 5180: not fwmark 0x1000/0x1000 lookup 5180 ipv4
      firewall mark 0x1000/0x1000
        remote 10.2.0.0/16, 198.18.0.64/26, fd5a:1:0:1::/64
        forward eu~us in 10.2.0.0/16 -> 10.1.0.0/16 any
        forward eu~us in 10.2.0.0/16 -> 198.18.0.0/26 any
        forward eu~us in 198.18.0.64/26 -> 10.1.0.0/16 any
        forward eu~us in 198.18.0.64/26 -> 198.18.0.0/26 any
        forward eu~us out 10.1.0.0/16 -> 10.2.0.0/16 any
        forward eu~us out 10.1.0.0/16 -> 198.18.0.64/26 any
        forward eu~us out 198.18.0.0/26 -> 10.2.0.0/16 any
        forward eu~us out 198.18.0.0/26 -> 198.18.0.64/26 any
        mss ipv4 1380 ipv6 1360
      "
    `);
  });

  test("leaves alone what an agent has made", async () => {
    const kernel = new FakeKernel();
    const { planner } = start();
    await raiseGuard(kernel, planner);
    const before = kernel.toString();
    kernel.writes = 0;
    await raiseGuard(kernel, planner);
    expect(kernel.writes).toBe(0);
    expect(kernel.toString()).toBe(before);
  });
});
