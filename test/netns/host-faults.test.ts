/**
 * What happens to a gateway's host is repaired or said, and never a packet in clear. Each gateway looks at its kernel once
 * an hour here, so whatever is repaired or said was heard of by the kernel's own events, unless a test says "look". Before
 * the agent: boot.integration.test.ts.
 */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { takeDown } from "../../agents/gateway/dataplane/down.ts";
import {
  type DataplaneTrial,
  startDataplaneTrial,
  type TrialGateway,
  until,
} from "../../agents/gateway/dataplane/netns-trial.ts";
import { openKernel } from "../../agents/gateway/kernel/open-kernel.ts";
import type { Kernel } from "../../agents/gateway/kernel/port.ts";
import { describeAccount, type Meter, startMeter } from "../meter/meter.ts";
import { type ClearTextWatch, watchClearText } from "./clear-text.ts";
import { flowsBetween } from "./flows.ts";

/** A test waits for conditions; on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 180_000 });
const HOUR_MS = 3_600_000;
const NOTHING = { ipv4: 0, ipv6: 0 };

let trial: DataplaneTrial;
let eu: TrialGateway;
/** The agent's own port answers when the agent is done. */
let onlooker: Kernel;
let meter: Meter;
let clear: ClearTextWatch;

beforeAll(async () => {
  const sites = ["eu", "us"];
  trial = await startDataplaneTrial(
    sites.map((name) => ({ name, gateways: 1 })),
    { lookEveryMs: HOUR_MS },
  );
  eu = trial.gateway("eu0");
  onlooker = openKernel({ dataplane: { kind: "kernel" }, netns: `/run/netns/${eu.machine.namespace.name}` });
  const [euHost, usHost] = sites.map((name) => {
    const { namespace, address } = trial.topology.site(name).host;
    return { namespace, address: address.ipv4 };
  });
  if (euHost === undefined || usHost === undefined) throw new Error("no hosts");
  const rate = { count: 4, packetsPerSecond: 25 };
  meter = await startMeter([...flowsBetween(euHost, usHost, rate), ...flowsBetween(usHost, euHost, rate)]);
  const machines = trial.gateways.map(({ machine }) => machine);
  clear = await watchClearText(trial.topology, machines);
  await untilOpen("at first");
});
afterAll(async () => {
  await meter?.[Symbol.asyncDispose]();
  await onlooker?.[Symbol.asyncDispose]();
  await trial?.[Symbol.asyncDispose]();
});

/** Packets of both ways lost in a second. */
async function lostNow(name: string): Promise<number> {
  const account = await meter.during(() => delay(1_000), { lateMs: 500 });
  process.stderr.write(`${name}: ${describeAccount(account)}\n`);
  return account.lost;
}

async function untilOpen(name: string): Promise<void> {
  await until(async () => (await lostNow(name)) === 0);
}

/** The rules and what is in our table. */
function routing(): Promise<string> {
  return eu.machine.namespace.sh("ip rule; ip route show table 5180; ip -6 rule; ip -6 route show table 5180");
}

/** Removes IPv4 routes one by one: `ip route flush` gives up with EINVAL at the first that has a nexthop object. */
async function removeRoutes(selector: string): Promise<void> {
  const { namespace } = eu.machine;
  const listed = JSON.parse(await namespace.sh(`ip -j route show table 5180 ${selector}`)) as readonly ListedRoute[];
  expect(listed.length).toBeGreaterThan(0);
  await namespace.ip(
    ...listed.map(({ type = "unicast", dst, metric = 0 }) => `route del ${type} ${dst} table 5180 metric ${metric}`),
  );
}

interface ListedRoute {
  readonly type?: string;
  readonly dst: string;
  readonly metric?: number;
}

describe("what another program took away is made again", () => {
  test.each([
    { what: "nft flush ruleset", take: () => eu.machine.namespace.sh("nft flush ruleset") },
    {
      what: "nft flush ruleset, and every lane deleted",
      take: () => eu.machine.namespace.sh("nft flush ruleset; ip link del sw-a0; ip link del sw-a1"),
    },
    { what: "every lane deleted", take: () => eu.machine.namespace.ip("link del sw-a0", "link del sw-a1") },
    { what: "a lane taken down", take: () => eu.machine.namespace.ip("link set sw-a0 down") },
    { what: "every IPv4 route of our table removed", take: () => removeRoutes("") },
    {
      what: "every IPv6 route of our table removed",
      take: () => eu.machine.namespace.sh("ip -6 route flush table 5180"),
    },
    { what: "the routes to a remote prefix removed", take: () => removeRoutes("exact 10.2.0.0/24") },
    { what: "the rule deleted", take: () => eu.machine.namespace.ip("rule del priority 5180") },
    {
      what: "blackholes and nexthops flushed",
      take: () => eu.machine.namespace.ip("route flush type blackhole table 5180", "nexthop flush"),
    },
  ])("$what", async ({ what, take }) => {
    const before = await routing();
    const from = eu.outcomes.length;
    const beganMs = performance.now();
    const sinceMs = () => (performance.now() - beganMs).toFixed(0);
    await take();
    await until(async () => (await onlooker.firewall.forwarded()) !== undefined);
    process.stderr.write(`${what}: the guard was there ${sinceMs()} ms after the command was given, `);
    await until(() => eu.outcomes.slice(from).some(({ repaired }) => repaired));
    process.stderr.write(`all after ${sinceMs()} ms\n`);
    await until(async () => (await routing()) === before);
    await untilOpen(what);
    expect((await eu.kernel.firewall.observe()).kind).toBe("present");
    expect(await clear.count()).toEqual(NOTHING);
  });
});

test("another firewall that drops forwarded packets is named, until it lets them pass", async () => {
  const { namespace } = eu.machine;
  await namespace.sh(
    "nft 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'",
  );
  await until(async () => {
    await eu.look();
    return eu.conditions().length > 0;
  });
  expect(eu.conditions()).toEqual(["HostFirewallDrops firewall ip filter FORWARD"]);
  await namespace.sh("nft add rule ip filter FORWARD accept");
  await eu.look();
  expect(eu.conditions()).toEqual([]);
  await untilOpen("with a rule that lets them pass");
  await eu.look();
  expect(eu.conditions()).toEqual([]);
  expect(await clear.count()).toEqual(NOTHING);
});

test("a network inside a remote prefix stays local while it is there, and once it is gone nothing for it leaves in clear", async () => {
  const { namespace } = eu.machine;
  const us = trial.gateway("us0");
  const [host, usHost] = ["eu", "us"].map((name) => trial.topology.site(name).host.namespace);
  const deviceTo = async (address: string) =>
    /dev (\S+)/.exec(await namespace.sh(`ip route get ${address} || true`))?.[1];
  const answers = async (address: string) =>
    (await namespace.sh(`ping -n -q -i 0.2 -c 3 -W 1 -I 10.1.0.1 ${address} || true`)).includes(" 0% packet loss");
  const dropped = async () => (await eu.kernel.firewall.counters()).get("guard/out")?.packets ?? 0;

  // Both sites have 10.77.0.0/24, and eu has another network in the half of it. Until us has said so, it is any network
  // of the internet: nobody may ask for it before.
  trial.putSite("us", ["10.77.0.0/24"]);
  for (const gateway of trial.gateways) gateway.want();
  await until(async () => (await deviceTo("10.77.0.9")) === "sw-a0");
  await us.look();
  expect(us.conditions()).toEqual(["OwnPrefixNotLocal prefix 10.77.0.0/24"]);
  await usHost?.ip("addr add 10.77.0.200/32 dev lan");
  await us.machine.namespace.ip("route add 10.77.0.0/24 via 10.2.0.100");
  await us.look();
  expect(us.conditions()).toEqual([]);
  await until(() => answers("10.77.0.200"));
  expect(eu.conditions()).toEqual([]);

  await host?.ip("addr add 10.77.0.9/25 dev lan");
  await namespace.ip("addr add 10.77.0.1/25 dev lan");
  await until(() => answers("10.77.0.9"));
  expect(await deviceTo("10.77.0.9")).toBe("lan");
  expect(eu.conditions()).toEqual(["PrefixShadowsLocal prefix 10.77.0.0/24"]);
  await until(() => answers("10.77.0.200"));
  await untilOpen("with a local network under a remote prefix");
  expect(await clear.count()).toEqual(NOTHING);

  // Nobody reacts: the default route takes what the network no longer does.
  await eu.stop();
  await namespace.ip("addr del 10.77.0.1/25 dev lan");
  expect(await deviceTo("10.77.0.9")).toBe("eth0");
  const before = await dropped();
  expect(await answers("10.77.0.9")).toBe(false);
  expect(await dropped()).toBe(before + 3);
  expect(await clear.count()).toEqual(NOTHING);
  await eu.start();
  await until(async () => (await deviceTo("10.77.0.9")) === "sw-a0");
  expect(eu.conditions()).toEqual([]);
  expect(await clear.count()).toEqual(NOTHING);
});

test("positive control: the same watch sees what leaves in clear once the agent is down and all it made is gone", async () => {
  await eu.stop();
  const { failures } = await takeDown(eu.kernel);
  expect(failures.map(({ error }) => error.message)).toEqual([]);
  await until(async () => (await clear.count()).ipv4 > 0);
});
