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
import { describeAccount, type Meter, startMeter } from "../meter/meter.ts";
import { type ClearTextWatch, watchClearText } from "./clear-text.ts";
import { flowsBetween } from "./flows.ts";

/** A test waits for conditions; on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 180_000 });
const HOUR_MS = 3_600_000;
const NOTHING = { ipv4: 0, ipv6: 0 };

let trial: DataplaneTrial;
let eu: TrialGateway;
let meter: Meter;
let clear: ClearTextWatch;

beforeAll(async () => {
  const sites = ["eu", "us"];
  trial = await startDataplaneTrial(
    sites.map((name) => ({ name, gateways: 1 })),
    { lookEveryMs: HOUR_MS },
  );
  eu = trial.gateway("eu0");
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
    await take();
    await until(() => eu.outcomes.slice(from).some(({ repaired }) => repaired));
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

test("positive control: the same watch sees what leaves in clear once the agent is down and all it made is gone", async () => {
  await eu.stop();
  const { failures } = await takeDown(eu.kernel);
  expect(failures.map(({ error }) => error.message)).toEqual([]);
  await until(async () => (await clear.count()).ipv4 > 0);
});
