import { setImmediate } from "node:timers/promises";
import { decodeProbe, encodeProbe, type Probe } from "@spanwire/core/liveness/probe";
import type { Clock } from "@spanwire/core/time";
import { describe, expect, test } from "vitest";
import type { ProbeSocketOptions, Source } from "./probe-socket.ts";
import { type End, FAST, IDLE, ProbeLab, planeAddress, ROTATING } from "./testing.ts";

const PORT = 5180;
const [EU0, US0, US1] = [planeAddress(0, 0), planeAddress(1, 0), planeAddress(1, 1)];
const EU0_ON_B = "198.18.0.32";

/** eu.0 and us.0 */
function pair(lab: ProbeLab, use = IDLE): [End, End] {
  return [lab.start({ clusterId: "eu", use }), lab.start({ clusterId: "us" })];
}

function isUp(end: End, gateway: string): boolean | undefined {
  return end.prober.view(gateway)?.lanes.get("a")?.isUp;
}

/** Lets time pass until the condition holds and returns how much it was. */
async function until(lab: ProbeLab, isSo: () => boolean, stepMs = 1): Promise<number> {
  const start = lab.clock.elapsed();
  while (!isSo()) {
    if (lab.clock.elapsed() - start > 600_000) throw new Error("it never came");
    await lab.clock.advance(stepMs);
  }
  return lab.clock.elapsed() - start;
}

async function countSent(lab: ProbeLab, ms: number): Promise<number> {
  const before = lab.network.sent;
  await lab.clock.advance(ms);
  return lab.network.sent - before;
}

describe("at the start", () => {
  test("both ends are up as soon as packets have passed to and fro", async () => {
    const lab = new ProbeLab();
    lab.network.setAll({ delayMs: 20 });
    const [eu, us] = pair(lab);
    expect(eu.prober.view("us.0")?.verdict).toBe("unknown");
    await lab.clock.advance(60);
    expect([isUp(eu, "us.0"), isUp(us, "eu.0")]).toEqual([true, true]);
    expect(eu.prober.view("us.0")?.verdict).toBe("up");
    await lab.clock.advance(10_000);
    expect(eu.prober.view("us.0")?.lanes.get("a")?.roundTripMs).toBe(40);
  });

  test("one that does not answer is unknown first, then down, and up as soon as it does", async () => {
    const lab = new ProbeLab();
    const eu = lab.start({ clusterId: "eu" });
    await lab.clock.advance(2_900);
    expect([eu.prober.view("us.0")?.verdict, [...eu.prober.liveness]]).toEqual(["unknown", []]);
    await lab.clock.advance(200);
    expect([...eu.prober.liveness]).toEqual([
      ["us.0", { down: true }],
      ["us.1", { down: true }],
    ]);
    lab.start({ clusterId: "us" });
    await lab.clock.advance(20);
    expect([...eu.prober.liveness]).toEqual([["us.1", { down: true }]]);
  });

  test("both planes are probed while an epoch is open", async () => {
    const lab = new ProbeLab({ opening: 1n });
    const [eu] = pair(lab);
    await lab.clock.advance(100);
    expect([...(eu.prober.view("us.0")?.lanes ?? [])].map(([plane, lane]) => [plane, lane.isUp])).toEqual([
      ["a", true],
      ["b", true],
    ]);
  });
});

describe("events", () => {
  test("come when something changes and not with each probe", async () => {
    const lab = new ProbeLab();
    const [eu, us] = pair(lab, FAST);
    await lab.clock.advance(5_000);
    eu.events.length = 0;
    await lab.clock.advance(60_000);
    expect(eu.events).toEqual([]);

    us.outlook = { ...us.outlook, sendsOn: 1n };
    us.prober.look();
    await lab.clock.advance(1);
    expect(eu.events).toEqual(["us.0"]);
    expect(eu.prober.view("us.0")?.word).toEqual({ sendsOn: 1n, generation: 1n, isDraining: false });

    us.outlook = { ...us.outlook, generation: 2n, isDraining: true };
    us.prober.look(["eu.0"]);
    await lab.clock.advance(1);
    expect(eu.events).toEqual(["us.0", "us.0"]);
    expect(eu.prober.view("us.0")?.word).toEqual({ sendsOn: 1n, generation: 2n, isDraining: true });
    expect(eu.prober.liveness.get("us.0")).toEqual({ down: false, draining: true });

    await us.stop();
    await lab.clock.advance(1_000);
    expect(eu.events).toEqual(["us.0", "us.0", "us.0"]);
  });

  test("what was said last counts, on whichever plane it comes", async () => {
    const lab = new ProbeLab({ opening: 1n });
    lab.network.set(US0, EU0, { delayMs: 300 });
    const [eu, us] = pair(lab);
    await lab.clock.advance(2_000);
    us.outlook = { ...us.outlook, sendsOn: 1n };
    us.prober.look();
    await lab.clock.advance(100);
    us.outlook = { ...us.outlook, sendsOn: 0n };
    us.prober.look();
    for (let n = 0; n < 400; n++) {
      await lab.clock.advance(1);
      expect(eu.prober.view("us.0")?.word?.sendsOn).toBe(0n);
    }
  });
});

describe("the pace", () => {
  test("is slow where there is nothing to decide", async () => {
    const lab = new ProbeLab();
    pair(lab);
    lab.network.set(EU0, US1, { lossPercent: 100 });
    await lab.clock.advance(60_000);
    // Two ends, each 4.5 s to the other; and eu.0 each second to us.1, which is not there.
    const sent = await countSent(lab, 90_000);
    expect(sent).toBeLessThanOrEqual(2 * 20 + 100);
    expect(sent).toBeGreaterThanOrEqual(2 * 18 + 90);
  });

  test.each([
    { name: "traffic alone", use: { ...IDLE, hasTraffic: true }, everyMs: 4_500 },
    { name: "an alternative alone", use: { ...IDLE, hasAlternative: true }, everyMs: 4_500 },
    { name: "an open epoch", use: ROTATING, everyMs: 900 },
    { name: "traffic and an alternative", use: FAST, everyMs: 90 },
    { name: "all of it", use: { ...FAST, isRotating: true }, everyMs: 90 },
  ])("with $name at one end is $everyMs ms at both", async ({ use, everyMs }) => {
    const lab = new ProbeLab();
    const [eu, us] = pair(lab);
    await lab.clock.advance(30_000);
    eu.outlook = { ...eu.outlook, use };
    eu.prober.look();
    await lab.clock.advance(10_000);
    const counts = () => [eu.prober.counters.received, us.prober.counters.received];
    const before = counts();
    await lab.clock.advance(90_000);
    for (const [n, count] of counts().entries()) {
      const received = count - (before[n] ?? 0);
      expect(received).toBeGreaterThanOrEqual(90_000 / everyMs / 1.1);
      expect(received).toBeLessThanOrEqual(90_000 / everyMs + 1);
    }
  });

  test("becomes fast at once, and slow again without a verdict", async () => {
    const lab = new ProbeLab();
    const [eu, us] = pair(lab);
    await lab.clock.advance(31_234);
    const [changes, before] = [eu.events.length + us.events.length, us.prober.counters.received];
    eu.outlook = { ...eu.outlook, use: FAST };
    eu.prober.look();
    await lab.clock.advance(2);
    expect(us.prober.counters.received).toBe(before + 1);
    // Both ends notice a cut as fast probes let them.
    lab.network.setAll({ lossPercent: 100 });
    expect(await until(lab, () => isUp(eu, "us.0") === false && isUp(us, "eu.0") === false)).toBeLessThanOrEqual(301);
    lab.network.setAll({ lossPercent: 0 });
    await lab.clock.advance(10_000);
    const settled = eu.events.length + us.events.length;
    expect(settled).toBeGreaterThan(changes);
    eu.outlook = { ...eu.outlook, use: IDLE };
    await lab.clock.advance(60_000);
    expect(eu.events.length + us.events.length).toBe(settled);
    expect(await countSent(lab, 90_000)).toBeLessThanOrEqual(2 * 20 + 101);
  });

  test("two ends that were fast do not keep each other so", async () => {
    const lab = new ProbeLab();
    const [eu, us] = pair(lab, FAST);
    us.outlook = { ...us.outlook, use: FAST };
    await lab.clock.advance(10_000);
    for (const end of [eu, us]) {
      end.outlook = { ...end.outlook, use: IDLE };
      end.prober.look();
      await lab.clock.advance(500);
    }
    await lab.clock.advance(20_000);
    const before = us.prober.counters.received;
    await lab.clock.advance(45_000);
    expect(us.prober.counters.received - before).toBeLessThanOrEqual(11);
  });

  test("is slowed only after it was said three times", async () => {
    const lab = new ProbeLab();
    const [eu, us] = pair(lab, FAST);
    await lab.clock.advance(5_000);
    us.events.length = 0;
    const seen = us.prober.counters.received;
    await until(lab, () => us.prober.counters.received > seen);
    // Two of the probes that say "slower now" are lost; the third keeps the lane up.
    eu.outlook = { ...eu.outlook, use: IDLE };
    lab.network.set(EU0, US0, { lossPercent: 100 });
    await lab.clock.advance(185);
    lab.network.set(EU0, US0, { lossPercent: 0 });
    await lab.clock.advance(60_000);
    expect(us.events).toEqual([]);
  });
});

describe("what is dead", () => {
  test("is noticed in three intervals, and again relied on after the hold-down", async () => {
    const lab = new ProbeLab();
    const [eu, us] = pair(lab, FAST);
    await lab.clock.advance(10_000);
    await us.stop();
    expect(await until(lab, () => eu.prober.view("us.0")?.verdict === "down")).toBeLessThanOrEqual(300);
    const again = lab.start({ clusterId: "us" });
    expect(await until(lab, () => isUp(eu, "us.0") === true)).toBeLessThanOrEqual(5);
    expect(eu.prober.view("us.0")?.verdict).toBe("held");
    expect(await until(lab, () => eu.prober.view("us.0")?.verdict === "up")).toBe(2_000);
    expect(again.prober.view("eu.0")?.verdict).toBe("up");
  });

  test.each([
    { name: "idle", use: IDLE, awayMs: 14_000 },
    { name: "watched closely", use: FAST, awayMs: 200 },
  ])("is not what comes back in time: $name, $awayMs ms", async ({ use, awayMs }) => {
    const lab = new ProbeLab();
    const [eu, us] = pair(lab, use);
    await lab.clock.advance(30_000);
    eu.events.length = 0;
    // Just after a probe, or idle ones would be waited for from before.
    const seen = eu.prober.counters.received;
    await until(lab, () => eu.prober.counters.received > seen);
    await us.stop();
    await lab.clock.advance(awayMs);
    const again = lab.start({ clusterId: "us" });
    expect(await until(lab, () => isUp(again, "eu.0") === true)).toBeLessThanOrEqual(5);
    await lab.clock.advance(60_000);
    expect([eu.events, isUp(eu, "us.0")]).toEqual([[], true]);
    expect(again.events).toEqual(["eu.0"]);
  });

  test("and flaps is relied on less and less, and forgiven in the end", async () => {
    const lab = new ProbeLab();
    const [eu] = pair(lab, FAST);
    await lab.clock.advance(10_000);
    const held: number[] = [];
    for (let n = 0; n < 4; n++) {
      lab.network.setAll({ lossPercent: 100 });
      await lab.clock.advance(500);
      lab.network.setAll({ lossPercent: 0 });
      const cut = await until(lab, () => isUp(eu, "us.0") === true);
      expect(cut).toBeLessThanOrEqual(1_000);
      held.push(await until(lab, () => eu.prober.view("us.0")?.verdict === "up"));
    }
    expect(held).toEqual([2_000, 4_000, 8_000, 16_000]);
    await lab.clock.advance(400_000);
    lab.network.setAll({ lossPercent: 100 });
    await lab.clock.advance(500);
    lab.network.setAll({ lossPercent: 0 });
    await until(lab, () => isUp(eu, "us.0") === true);
    expect(await until(lab, () => eu.prober.view("us.0")?.verdict === "up")).toBe(2_000);
  });
});

describe("what this host does", () => {
  test("an address that comes later is waited for, and nobody is given up meanwhile", async () => {
    const lab = new ProbeLab();
    lab.network.setPresent(EU0, false);
    const [eu] = pair(lab);
    await lab.clock.advance(20_000);
    expect([eu.prober.view("us.0")?.verdict, eu.prober.problem]).toEqual([
      "unknown",
      `open a probe socket at ${EU0} port 5180: EADDRNOTAVAIL`,
    ]);
    expect(eu.prober.counters).toMatchObject({ sent: 0, failures: 41 });
    expect(eu.log.events.filter(({ level }) => level === "warn")).toHaveLength(1);
    lab.network.setPresent(EU0, true);
    await lab.clock.advance(510);
    expect([eu.prober.view("us.0")?.verdict, eu.prober.problem]).toEqual(["up", undefined]);
  });

  test("a socket that fails is opened again", async () => {
    const lab = new ProbeLab();
    const [eu] = pair(lab);
    await lab.clock.advance(10_000);
    eu.events.length = 0;
    lab.network.fail(EU0, PORT);
    await lab.clock.advance(60_000);
    expect([eu.events, isUp(eu, "us.0")]).toEqual([[], true]);
  });

  test.each(["ENETUNREACH", "EPERM", "ENOBUFS"])("%s is counted, and the next probe is the retry", async (errno) => {
    const lab = new ProbeLab();
    const [eu] = pair(lab, FAST);
    await lab.clock.advance(5_000);
    lab.network.refuse(EU0, errno);
    await lab.clock.advance(1_000);
    expect(eu.prober.counters.failures).toBeGreaterThan(3);
    expect(isUp(eu, "us.0")).toBe(false);
    lab.network.refuse(EU0, undefined);
    expect(await until(lab, () => isUp(eu, "us.0") === true)).toBeLessThanOrEqual(1_000);
  });

  test.each([3_600_000, -3_600_000])("a step of its clock by %i ms is nothing to it", async (ms) => {
    const lab = new ProbeLab();
    const [eu, us] = pair(lab, FAST);
    await lab.clock.advance(5_000);
    const before = eu.events.length + us.events.length;
    lab.clock.step(ms);
    await lab.clock.advance(5_000);
    expect(eu.events.length + us.events.length).toBe(before);
  });

  test("a process that stood still reads what came before it judges", async () => {
    const lab = new ProbeLab();
    const stall = createStall(lab);
    const eu = lab.start({ clusterId: "eu", use: FAST, clock: stall.clock, open: stall.open });
    const us = lab.start({ clusterId: "us" });
    await lab.clock.advance(5_000);
    const events = () => [eu.events.length, us.events.length];
    const before = events();
    // Two probes are lost, and the third is there but not read when its time is over.
    const seen = eu.prober.counters.received;
    await until(lab, () => eu.prober.counters.received > seen);
    lab.network.set(US0, EU0, { lossPercent: 100 });
    await lab.clock.advance(195);
    lab.network.set(US0, EU0, { lossPercent: 0 });
    stall.begin();
    await lab.clock.advance(120);
    await stall.end();
    await lab.clock.advance(1_000);
    expect(events()).toEqual(before);
  });
});

describe("datagrams", () => {
  test.each([
    { name: "of a stranger", ignored: { stranger: 1 }, from: { address: "198.18.9.9", port: PORT } },
    { name: "from another port", ignored: { stranger: 1 }, from: { address: US0, port: 40_000 } },
    { name: "by another plane", ignored: { stranger: 1 }, at: EU0_ON_B },
    { name: "that come again", ignored: { late: 1 } },
    { name: "that are cut short", ignored: { malformed: 1 }, length: 43 },
    { name: "that are empty", ignored: { malformed: 1 }, length: 0 },
  ])("$name are counted and change nothing", async (row) => {
    const { ignored, at = EU0, from = { address: US0, port: PORT }, length } = row;
    const lab = new ProbeLab({ opening: 1n });
    const tap = createTap(lab);
    const eu = lab.start({ clusterId: "eu", open: tap.open });
    lab.start({ clusterId: "us" });
    await lab.clock.advance(1_000);
    const [events, view] = [eu.events.length, eu.prober.view("us.0")];
    tap.inject(at, from, tap.last.subarray(0, length));
    expect(eu.prober.counters.ignored).toEqual({ stranger: 0, malformed: 0, late: 0, ...ignored });
    expect([eu.events.length, eu.prober.view("us.0")]).toEqual([events, view]);
  });

  test("nobody makes us answer faster than the fast pace", async () => {
    const lab = new ProbeLab();
    const tap = createTap(lab);
    const eu = lab.start({ clusterId: "eu", open: tap.open });
    lab.start({ clusterId: "us" });
    await lab.clock.advance(1_000);
    const probe = decodeProbe(tap.last) as Probe;
    const before = eu.prober.counters.sent;
    for (let n = 1; n <= 1_000; n++) {
      const greedy = { ...probe, sequence: probe.sequence + n, intervalMs: 0, asks: true, hearsYou: true };
      tap.inject(EU0, { address: US0, port: PORT }, encodeProbe(greedy));
      await lab.clock.advance(1);
    }
    expect(eu.prober.counters.sent - before).toBeLessThanOrEqual(1_000 / 90 + 3);
  });
});

test("a lane that is wanted no more is probed no more, and its gateway forgotten", async () => {
  const lab = new ProbeLab();
  const [eu] = pair(lab);
  await lab.clock.advance(10_000);
  eu.events.length = 0;
  eu.prober.want({ desired: { clusters: new Map() } as never, changed: new Set(["us"]) });
  expect(eu.events).toEqual(["us.0,us.1"]);
  expect([eu.prober.view("us.0"), [...eu.prober.liveness]]).toEqual([undefined, []]);
  const { sent } = eu.prober.counters;
  await lab.clock.advance(60_000);
  expect(eu.prober.counters.sent).toBe(sent);
});

/** Holds back what one end's clock and sockets tell it, as a process that gets no time does. */
function createStall(lab: ProbeLab) {
  let isStalled = false;
  const held: (() => void)[] = [];
  const clock: Clock = {
    now: () => lab.clock.now(),
    elapsed: () => lab.clock.elapsed(),
    sleep: async (ms, signal) => {
      await lab.clock.sleep(ms, signal);
      // Timers come before what has arrived, as in libuv.
      if (isStalled) await new Promise<void>((resolve) => held.unshift(resolve));
    },
  };
  const open: typeof lab.network.open = (options) =>
    lab.network.open({
      ...options,
      onReceived: (from, bytes) => {
        if (isStalled) held.push(() => options.onReceived(from, bytes));
        else options.onReceived(from, bytes);
      },
    });
  return {
    clock,
    open,
    begin: () => {
      isStalled = true;
    },
    end: async () => {
      isStalled = false;
      for (const each of held.splice(0)) {
        each();
        await setImmediate();
      }
    },
  };
}

/** Sees what one end receives on plane a, and puts datagrams of its own among it. */
function createTap(lab: ProbeLab) {
  const sockets = new Map<string, ProbeSocketOptions["onReceived"]>();
  let last = new Uint8Array();
  const open: typeof lab.network.open = (options) => {
    sockets.set(options.address, options.onReceived);
    const onReceived: ProbeSocketOptions["onReceived"] = (from, bytes) => {
      if (options.address === EU0) last = bytes.slice();
      options.onReceived(from, bytes);
    };
    return lab.network.open({ ...options, onReceived });
  };
  return {
    open,
    inject: (at: string, from: Source, bytes: Uint8Array) => sockets.get(at)?.(from, bytes),
    get last() {
      return last;
    },
  };
}
