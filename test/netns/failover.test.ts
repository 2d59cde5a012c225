/**
 * One of the two gateways of a site goes in different ways, under traffic, while hub and NATS are gone: what others send
 * then goes by the other gateway. What the site's own hosts send is another matter: here they use the gateway that stays.
 * `--n N` of `npm test` for more cuts.
 */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type Account, describeAccount, type Meter, startMeter } from "../meter/meter.ts";
import { type AgentMesh, createAgentMesh } from "./agent-mesh.ts";
import type { AgentOfGateway } from "./agent-of-gateway.ts";
import { repeats } from "./config.ts";
import { flowsBetween } from "./flows.ts";
import { createTopology, type Topology } from "./topology.ts";

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });
const CUTS = repeats(4);
/** Both ways, together 400 packets a second. */
const RATE = { count: 8, packetsPerSecond: 25 };
/** Three probes in a row are not heard. */
const DETECTION_MS = 300;
const SETTLE_MS = 500;
/** A second, on a machine where every instruction is emulated; slow ones are less than one. */
const FAST_PROBES = 6;

const open = new AsyncDisposableStack();
let topology: Topology;
let mesh: AgentMesh;
let eu: AgentOfGateway;
let us: readonly [AgentOfGateway, AgentOfGateway];
let meter: Meter;

beforeAll(async () => {
  const sites = [
    { name: "eu", gateways: 1 },
    { name: "us", gateways: 2 },
  ];
  topology = open.use(await createTopology({ sites }));
  for (const { name } of sites)
    for (const { namespace } of topology.site(name).gateways)
      namespace.sysctl({ "ipv4/conf/lan/forwarding": 1, "ipv6/conf/all/forwarding": 1 });
  mesh = open.use(await createAgentMesh());
  const join = (name: string, ordinal: number) => {
    const site = topology.site(name);
    const host = site.gateways[ordinal]?.underlay.ipv4 ?? "";
    return mesh.join(site, { endpoints: [{ host, basePort: 51_820 }], lookEveryMs: 2_000 }, ordinal);
  };
  eu = await join("eu", 0);
  us = [await join("us", 0), await join("us", 1)];
  const [euHost, usHost] = sites.map(({ name }) => {
    const { namespace, address } = topology.site(name).host;
    return { namespace, address: address.ipv4 };
  });
  if (euHost === undefined || usHost === undefined) throw new Error("no hosts");
  meter = open.use(await startMeter([...flowsBetween(euHost, usHost, RATE), ...flowsBetween(usHost, euHost, RATE)]));
  await until("eu sends by both", () => active() === "0,1");
  await untilPassed();
  await mesh.endHub();
});
afterAll(() => open.disposeAsync());

beforeEach(async () => {
  await eu.restart({}); // and it forgets who fell how often: nobody is held down
  await until("eu sends by both", () => active() === "0,1");
});

/** Polls; the test's own time limit ends it. */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const started = performance.now();
  while (!(await holds())) await delay(20);
  process.stderr.write(`  ${what}: after ${Math.round(performance.now() - started)} ms\n`);
}

/** Every flow, both ways. */
function untilPassed(): Promise<void> {
  return until("packets pass", async () => (await meter.during(() => delay(SETTLE_MS), { lateMs: 500 })).lost === 0);
}

/** The gateways of us by which eu sends. */
function active(): string | undefined {
  return eu.state.paths.find(({ clusterId }) => clusterId === "us")?.active.join();
}

/** The ports of the switch that the gateway's host is plugged into. */
function plug({ machine: { name } }: AgentOfGateway, state: "up" | "down"): Promise<void> {
  return topology.internet.ip(`link set ${name} ${state}`, `link set ${name}l ${state}`);
}

/**
 * Returns the gateway of us by which most is sent to it, when eu probes it fast; what the site's host sends goes by the
 * other one alone from then on. Flows stay where they are when a gateway comes back, so it is not the same each time.
 */
async function prepare(): Promise<{ victim: AgentOfGateway; left: string }> {
  await until("eu probes fast", async () => {
    const before = eu.state.probes.sent;
    await delay(1_000);
    return eu.state.probes.sent - before >= FAST_PROBES;
  });
  const before = await sentTo();
  await delay(SETTLE_MS);
  const [first = 0, second = 0] = (await sentTo()).map((bytes, n) => bytes - (before[n] ?? 0));
  const [victim, other] = first > second ? us : [us[1], us[0]];
  await topology.site("us").host.namespace.ip(`route replace 0.0.0.0/0 via ${other.machine.lan.ipv4}`);
  return { victim, left: String(other.machine.ordinal) };
}

function sentTo(): Promise<readonly number[]> {
  return Promise.all(us.map(async (agent) => (await eu.peer(agent))?.txBytes ?? 0));
}

async function account(what: string, action: () => Promise<unknown>): Promise<Account> {
  const found = await meter.during(async () => {
    await delay(SETTLE_MS);
    await action();
    await delay(SETTLE_MS);
  });
  process.stderr.write(`${what}: ${describeAccount(found)}\n`);
  return found;
}

/** The longest time in which a flow lost everything. */
function outageMs({ flows }: Account): number {
  const counts = flows.flatMap(({ gaps }) => gaps.map(({ count }) => count));
  return (1_000 * Math.max(0, ...counts)) / RATE.packetsPerSecond;
}

describe("a gateway's host", () => {
  test(`is cut off ${CUTS} times: its flows go on by the other, and it carries again after its hold-down`, async () => {
    const outages: number[] = [];
    for (let cut = 0; cut < CUTS; cut++) {
      const { victim, left } = await prepare();
      const found = await account(`cut ${cut + 1}`, async () => {
        await plug(victim, "down");
        await until(`eu sends by us.${left} alone`, () => active() === left);
      });
      outages.push(outageMs(found));
      await untilPassed();
      await plug(victim, "up");
      await until("it carries again", () => active() === "0,1");
    }
    const sorted = outages.toSorted((a, b) => a - b);
    const [median = Number.NaN, maximum = Number.NaN] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
    const ratio = (maximum / DETECTION_MS).toFixed(1);
    process.stderr.write(
      `outage of ${CUTS}: median ${median} ms, maximum ${maximum} ms, ${ratio} times three intervals\n`,
    );
  });

  test("no longer gets what is sent to it: as if it were cut off", async () => {
    const { victim, left } = await prepare();
    await account("cut one way", async () => {
      await topology.impair(victim.machine.name, { lossPercent: 100 });
      await until(`eu sends by us.${left} alone`, () => active() === left);
    });
    await untilPassed();
    await topology.impair(victim.machine.name, {});
  });
});

describe("without a lost packet", () => {
  test("an agent is killed, and its kernel carries until eu has left it, and again when it is back", async () => {
    const { victim, left } = await prepare();
    const found = await account("agent killed", async () => {
      await victim.kill();
      await until(`eu sends by us.${left} alone`, () => active() === left);
      await victim.restart({});
      await until("it carries again", () => active() === "0,1");
    });
    expect(found.lost).toBe(0);
  });

  test("an agent drains, ends, and its host is switched off", async () => {
    const { victim, left } = await prepare();
    const found = await account("drained", async () => {
      await victim.drain();
      await until(`eu sends by us.${left} alone`, () => active() === left);
      await victim.kill();
      await plug(victim, "down");
      await delay(SETTLE_MS);
    });
    expect(found.lost).toBe(0);
    await plug(victim, "up");
    await victim.restart({});
  });
});
