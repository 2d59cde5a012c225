import { compileOnce, testLocal, testMap } from "@spanwire/core/desired/testing";
import { hearProbe, type LaneState, nextProbe, openLane } from "@spanwire/core/liveness/lane";
import { paceOf, wishedMs } from "@spanwire/core/liveness/pace";
import { DEFAULT_PROBE_PORT, decodeProbe, encodeProbe } from "@spanwire/core/liveness/probe";
import { probedLanes } from "@spanwire/core/liveness/probed-lanes";
import type { Clock } from "@spanwire/core/time";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeNetwork } from "./fake-network.ts";
import type { ProbeSocket } from "./probe-socket.ts";
import { Prober } from "./prober.ts";
import { type End, FAST, IDLE, ProbeLab, planeAddress } from "./testing.ts";

const [EU0, US0] = [planeAddress(0, 0), planeAddress(1, 0)];
/** What is due so soon after another look waits for the next. */
const REST_MS = 5;

function laneOf(end: End): boolean {
  const gateway = end.prober.view("us.0") ?? end.prober.view("eu.0");
  return gateway?.lanes.get("a")?.isUp === true;
}

test("a cut in one direction is noticed at both ends in three intervals and a round trip", async () => {
  const delayMs = fc.integer({ min: 0, max: 40 });
  const way = fc.constantFrom([EU0, US0] as const, [US0, EU0] as const);
  await fc.assert(
    fc.asyncProperty(delayMs, delayMs, way, fc.integer({ min: 2_000, max: 2_200 }), async (there, back, cut, atMs) => {
      const lab = new ProbeLab();
      lab.network.set(EU0, US0, { delayMs: there });
      lab.network.set(US0, EU0, { delayMs: back });
      const eu = lab.start({ clusterId: "eu", use: FAST });
      const us = lab.start({ clusterId: "us" });
      await lab.clock.advance(atMs);
      expect([laneOf(eu), laneOf(us)]).toEqual([true, true]);
      lab.network.set(...cut, { lossPercent: 100 });
      await lab.clock.advance(300 + there + back + 2 * REST_MS);
      expect([laneOf(eu), laneOf(us)]).toEqual([false, false]);
      // And that it is whole again as soon as a probe has passed.
      lab.network.set(...cut, { lossPercent: 0 });
      await lab.clock.advance(1_000 + 2 * (there + back));
      expect([laneOf(eu), laneOf(us)]).toEqual([true, true]);
    }),
    { numRuns: 40 },
  );
});

test("whatever was lost, both ends are up again when nothing is lost, and agree in the end", async () => {
  const percent = fc.constantFrom(0, 0, 10, 50, 90, 100);
  const weather = fc.record({ there: percent, back: percent, ms: fc.integer({ min: 1, max: 3_000 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(weather, { maxLength: 8 }), fc.nat(), async (weathers, seed) => {
      const lab = new ProbeLab({ seed });
      const eu = lab.start({ clusterId: "eu", use: FAST });
      const us = lab.start({ clusterId: "us" });
      for (const { there, back, ms } of weathers) {
        lab.network.set(EU0, US0, { lossPercent: there });
        lab.network.set(US0, EU0, { lossPercent: back });
        await lab.clock.advance(ms);
      }
      for (const way of [[EU0, US0] as const, [US0, EU0] as const]) lab.network.set(...way, { lossPercent: 0 });
      await lab.clock.advance(1_100);
      expect([laneOf(eu), laneOf(us)]).toEqual([true, true]);
      for (const end of [eu, us]) {
        end.outlook = { ...end.outlook, use: IDLE };
        end.prober.look();
      }
      const count = () => [...eu.events, ...us.events].filter((gateways) => gateways !== "us.1").length;
      const events = count();
      await lab.clock.advance(300_000);
      expect([eu.prober.view("us.0")?.verdict, us.prober.view("eu.0")?.verdict]).toEqual(["up", "up"]);
      expect(count() - events).toBeLessThanOrEqual(2);
    }),
    { numRuns: 30 },
  );
});

test("whatever a gateway says, we answer a probe with no more than one, and go on", async () => {
  const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const echo = fc.option(fc.record({ session: u32, sequence: u32, agoMs: u32 }), { nil: undefined });
  const probe = fc.record({
    session: fc.integer({ min: 0, max: 3 }),
    sequence: fc.integer({ min: 0, max: 20 }),
    intervalMs: fc.constantFrom(0, 1, 100, 5_000, 2 ** 24 - 1),
    asks: fc.boolean(),
    isDraining: fc.boolean(),
    hearsYou: fc.boolean(),
    echo,
    sendsOn: u64,
    generation: u64,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(probe, fc.nat(200)), { maxLength: 50 }), async (probes) => {
      const lab = new ProbeLab();
      const eu = lab.start({ clusterId: "eu" });
      const socket = await lab.network.open({ address: US0, port: DEFAULT_PROBE_PORT, onReceived: () => {} });
      await lab.clock.advance(10);
      for (const [each, ms] of probes) {
        void socket.send(EU0, encodeProbe(each));
        await lab.clock.advance(ms);
      }
      const elapsedMs = lab.clock.elapsed();
      expect(eu.prober.counters.received).toBeGreaterThanOrEqual(probes.length - 1);
      // One for each that came, and by itself as often as may be: to us.0, and to us.1, which never answers.
      expect(eu.prober.counters.sent).toBeLessThanOrEqual(2 + probes.length + elapsedMs / 90 + elapsedMs / 900);
      await eu.stop();
    }),
    { numRuns: 50 },
  );
});

test.each([
  { lossPercent: 0, falls: { min: 0, max: 0 } },
  { lossPercent: 1, falls: { min: 0, max: 0 } },
  { lossPercent: 5, falls: { min: 0, max: 2 } },
  { lossPercent: 20, falls: { min: 3, max: 30 } },
  { lossPercent: 50, falls: { min: 10, max: 90 } },
  { lossPercent: 100, falls: { min: 1, max: 1 } },
])("with $lossPercent % lost each way a lane falls $falls.min to $falls.max times a minute", async (row) => {
  const { lossPercent, falls } = row;
  const lab = new ProbeLab({ seed: 7 });
  const eu = lab.start({ clusterId: "eu", use: FAST });
  lab.start({ clusterId: "us" });
  await lab.clock.advance(2_000);
  for (const way of [[EU0, US0] as const, [US0, EU0] as const]) lab.network.set(...way, { lossPercent });
  let [count, wasUp] = [0, laneOf(eu)];
  const verdicts = new Set<string | undefined>();
  for (let ms = 0; ms < 60_000; ms += 5) {
    await lab.clock.advance(5);
    if (wasUp && !laneOf(eu)) count++;
    wasUp = laneOf(eu);
    if (ms > 40_000) verdicts.add(eu.prober.view("us.0")?.verdict);
  }
  expect(count).toBeGreaterThanOrEqual(falls.min);
  expect(count).toBeLessThanOrEqual(falls.max);
  // However often the lane comes back: one that falls and falls is not relied on.
  if (lossPercent >= 50) expect([...verdicts]).not.toContain("up");
  if (lossPercent <= 1) expect([...verdicts]).toEqual(["up"]);
});

test("2,000 lanes cost four times what 500 do, and one timer", async () => {
  const costs = [];
  for (const clusters of [250, 1_000]) costs.push(await costOf(clusters));
  const [small, large] = costs;
  for (const { lanes, sent, looks, timers, sleeps, largestBurst } of costs) {
    expect(sent).toBeGreaterThanOrEqual(lanes * 10);
    expect(sent).toBeLessThanOrEqual(lanes * 12);
    expect(looks).toBeLessThanOrEqual(2.2 * sent); // one for each probe that goes, one for each that comes
    expect(timers).toBe(1);
    expect(sleeps).toBeLessThanOrEqual(1_000 / REST_MS + 1);
    expect(largestBurst).toBeLessThanOrEqual(256);
  }
  expect((large?.looks ?? 0) / (small?.looks ?? 1)).toBeCloseTo(4, 0);
});

/** What a second of fast probing costs a gateway with two gateways in each of so many other clusters. */
async function costOf(clusterCount: number) {
  const gateways = [{ ordinal: 0 }, { ordinal: 1 }];
  const clusters = Array.from({ length: clusterCount + 1 }, (_, block) => ({
    id: `c${block}`,
    block,
    prefixes: [`10.${block >> 8}.${block % 256}.0/24`],
    gateways,
  }));
  const map = testMap({ clusters });
  const compiled = compileOnce(map, testLocal(map, "c0"));
  const clock = new FakeClock();
  const network = new FakeNetwork({ clock });
  network.setAll({ delayMs: 3 });
  const lanes = [...compiled.desired.clusters].flatMap(([id, fragment]) => probedLanes(id, fragment));
  for (const { to, from } of lanes) await answerAt(network, clock, { address: to, to: from });

  const cost = { lanes: lanes.length, sent: 0, looks: 0, timers: 0, sleeps: 0, largestBurst: 0 };
  const counting: Clock = {
    now: () => clock.now(),
    elapsed: () => clock.elapsed(),
    sleep: async (ms, signal) => {
      cost.sleeps++;
      cost.timers++;
      await clock.sleep(ms, signal).finally(() => cost.timers--);
    },
  };
  const bursts = new Map<number, number>();
  const controller = new AbortController();
  const prober = new Prober({
    open: async (options) => {
      const socket = await network.open(options);
      const send: ProbeSocket["send"] = (to, bytes) => {
        bursts.set(clock.elapsed(), (bursts.get(clock.elapsed()) ?? 0) + 1);
        return socket.send(to, bytes);
      };
      return { ...socket, send };
    },
    port: DEFAULT_PROBE_PORT,
    outlook: () => {
      cost.looks++;
      return { use: FAST, isDraining: false, sendsOn: 0n, generation: 1n };
    },
    onChanged: () => {},
    clock: counting,
    random: Math.random,
    log: createRecordingLog(),
    signal: controller.signal,
  });
  prober.want(compiled);
  const running = prober.run();
  await clock.advance(2_000);
  expect(lanes.every(({ gateway }) => prober.view(gateway)?.verdict === "up")).toBe(true);
  const { sent } = prober.counters;
  Object.assign(cost, { looks: 0, sleeps: 0 });
  bursts.clear();
  await clock.advance(1_000);
  cost.sent = prober.counters.sent - sent;
  cost.largestBurst = Math.max(...bursts.values());
  const measured = { ...cost };
  controller.abort();
  await running;
  return measured;
}

/** An end that answers each probe with one of its own. */
async function answerAt(network: FakeNetwork, clock: Clock, { address, to }: { address: string; to: string }) {
  let state: LaneState = openLane(1);
  const socket = await network.open({
    address,
    port: DEFAULT_PROBE_PORT,
    onReceived: (_, bytes) => {
      const heard = decodeProbe(bytes);
      if (heard === undefined) throw new Error("no probe");
      const nowMs = clock.elapsed();
      state = hearProbe(state, heard, nowMs);
      const pace = paceOf(state, wishedMs(IDLE), nowMs);
      const sequence = (state.said?.sequence ?? 0) + 1;
      const next = nextProbe(state, { ...pace, sequence, isDraining: false, sendsOn: 0n, generation: 1n }, nowMs);
      state = next.lane;
      void socket.send(to, encodeProbe(next.probe));
    },
  });
}
