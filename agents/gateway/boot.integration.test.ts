/** A gateway's host before its agent runs, on a real kernel and an underlay that is watched. Needs root, no WireGuard. */
import { setTimeout as delay } from "node:timers/promises";
import { DEFAULT_ROUTING } from "@spanwire/core/desired/local-facts";
import { testMap } from "@spanwire/core/desired/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Meter, startMeter } from "../../test/meter/meter.ts";
import { type ClearTextWatch, watchClearText } from "../../test/netns/clear-text.ts";
import { flowsBetween } from "../../test/netns/flows.ts";
import { createTopology, type GatewayMachine, type Topology } from "../../test/netns/topology.ts";
import { networkFacts } from "./dataplane/local-networks.ts";
import { raiseGuard } from "./guard.ts";
import { openKernel } from "./kernel/open-kernel.ts";
import type { Kernel } from "./kernel/port.ts";
import { Planner } from "./planner.ts";

const SETTINGS = {
  basePort: 51820,
  mtuBytes: 1420,
  ipv6: "guarded",
  snat: [],
  resilientBuckets: 32,
  routing: DEFAULT_ROUTING,
} as const;

let topology: Topology;
let machine: GatewayMachine;
let kernel: Kernel;
let meter: Meter;
let clear: ClearTextWatch;

beforeAll(async () => {
  topology = await createTopology({ sites: ["eu", "us"].map((name) => ({ name, gateways: 1 })) });
  const [gateway] = topology.site("eu").gateways;
  if (gateway === undefined) throw new Error("no gateway");
  machine = gateway;
  machine.namespace.sysctl({ "ipv4/conf/lan/forwarding": 1 });
  kernel = openKernel({ dataplane: { kind: "kernel" }, netns: `/run/netns/${machine.namespace.name}` });
  const [from, to] = ["eu", "us"].map((name) => {
    const { namespace, address } = topology.site(name).host;
    return { namespace, address: address.ipv4 };
  });
  if (from === undefined || to === undefined) throw new Error("no hosts");
  meter = await startMeter(flowsBetween(from, to, { count: 2, packetsPerSecond: 50 }));
  clear = await watchClearText(topology, [machine]);
});
afterAll(async () => {
  await meter?.[Symbol.asyncDispose]();
  await kernel?.[Symbol.asyncDispose]();
  await topology?.[Symbol.asyncDispose]();
});

/** From a map that says that us has these prefixes, and the host as it is. */
async function planner(prefixes: readonly string[]): Promise<Planner> {
  const clusters = [
    { id: "eu", block: 0, prefixes: ["10.1.0.0/24"] },
    { id: "us", block: 1, prefixes },
  ];
  const planner = new Planner(testMap({ clusters }), { clusterId: "eu", ordinal: 0 }, SETTINGS);
  planner.observe(networkFacts(await kernel.network.host()));
  return planner;
}

async function conditions(prefixes: readonly string[]): Promise<readonly string[]> {
  const planned = await planner(prefixes);
  planned.plan("all");
  const found = planned.conditions.filter(({ type }) => type === "PrefixShadowsLocal" || type === "LanNotForwarding");
  return found.map(({ type, subject }) => `${type} ${subject}`);
}

test("positive control, then the boot guard: without it packets leave in clear, with it none does", async () => {
  await expect.poll(async () => (await clear.count()).ipv4).toBeGreaterThan(0);
  const { done, failures } = await raiseGuard(kernel, await planner(["10.2.0.0/24"]));
  expect(failures.map(({ error }) => error.message)).toEqual([]);
  expect(done[0]?.kind).toBe("replace-firewall");

  const before = await clear.count();
  const { sent, lost } = await meter.during(() => delay(1_000), { lateMs: 0 });
  expect(sent).toBeGreaterThan(0);
  expect(lost).toBe(sent);
  expect(await clear.count()).toEqual(before);

  // The blackholes alone hold, too, while somebody has flushed the ruleset.
  await machine.namespace.sh("nft flush ruleset");
  await meter.during(() => delay(1_000), { lateMs: 0 });
  expect(await clear.count()).toEqual(before);
});

test("a LAN device that does not forward is named", async () => {
  expect(await conditions(["10.2.0.0/24"])).toEqual([]);
  machine.namespace.sysctl({ "ipv4/conf/lan/forwarding": 0 });
  expect(await conditions(["10.2.0.0/24"])).toEqual(["LanNotForwarding device lan"]);
  machine.namespace.sysctl({ "ipv4/conf/lan/forwarding": 1 });
  expect(await conditions(["10.2.0.0/24"])).toEqual([]);
});

test("a remote prefix over a local network: what is connected stays local, and both kinds are said", async () => {
  const { namespace } = machine;
  const shadowing = ["10.77.0.0/24", "10.78.0.0/16"];
  await namespace.ip("link add spare type bridge", "link set spare up", "addr add 10.77.0.1/25 dev spare");
  expect(await conditions(shadowing)).toEqual(["PrefixShadowsLocal prefix 10.77.0.0/24"]);
  await namespace.ip("route add 10.78.5.0/24 via 192.0.2.254", "route add 10.0.0.0/8 via 192.0.2.254");
  expect(await conditions(shadowing)).toEqual(shadowing.map((prefix) => `PrefixShadowsLocal prefix ${prefix}`));

  await kernel.firewall.apply({ kind: "remove-firewall" });
  const { failures } = await raiseGuard(kernel, await planner(shadowing));
  expect(failures.map(({ error }) => error.message)).toEqual([]);
  expect(await namespace.sh("ip route get 10.77.0.9")).toContain("dev spare");
  // No lane is there yet: the rest of the prefixes meets the blackhole, also where a router's network is covered.
  for (const address of ["10.77.0.200", "10.78.5.9"]) {
    expect(await namespace.sh(`ip route get ${address} 2>&1 || true`)).toMatch(/RTNETLINK answers/);
  }
});
