/**
 * What happens to a gateway's host is repaired, and never a packet in clear. Each gateway looks at its kernel once an hour
 * here, so whatever is repaired was heard of by the kernel's own events. The positive control of the same watch is in
 * reconcile.netns.test.ts and boot.integration.test.ts.
 */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
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

describe("what another program took away is made again", () => {
  test.each([
    { what: "nft flush ruleset", take: () => eu.machine.namespace.sh("nft flush ruleset") },
    { what: "every lane deleted", take: () => eu.machine.namespace.ip("link del sw-a0", "link del sw-a1") },
    { what: "a lane taken down", take: () => eu.machine.namespace.ip("link set sw-a0 down") },
    { what: "the rule deleted", take: () => eu.machine.namespace.ip("rule del priority 5180") },
    {
      what: "blackholes and nexthops flushed",
      take: () => eu.machine.namespace.ip("route flush type blackhole table 5180", "nexthop flush"),
    },
  ])("$what", async ({ what, take }) => {
    const from = eu.outcomes.length;
    await take();
    await until(() => eu.outcomes.slice(from).some(({ repaired }) => repaired));
    await untilOpen(what);
    expect((await eu.kernel.firewall.observe()).kind).toBe("present");
    expect(await clear.count()).toEqual(NOTHING);
  });
});
