import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FRESH, type HoldDown, holdMs, see } from "./hold-down.ts";
import { dueAtMs, hearProbe, isUp, type LaneState, lapsesAtMs, nextProbe, openLane } from "./lane.ts";
import { paceOf, type Use, wishedMs } from "./pace.ts";
import type { Probe } from "./probe.ts";
import { judge, judgeAgainAtMs } from "./verdict.ts";

const SAYING = { intervalMs: 100, asks: true, isDraining: false, sendsOn: 0n, generation: 1n };

/** Two ends of a lane and a network that takes 10 ms each way. */
class Lab {
  nowMs = 1_000;
  a: LaneState = openLane(0xa);
  b: LaneState = openLane(0xb);

  /** One interval: both send, and what is not cut arrives. */
  round({ cut = [] }: { cut?: readonly ("a" | "b")[] } = {}): void {
    const fromA = this.send("a");
    const fromB = this.send("b");
    this.nowMs += 10;
    if (!cut.includes("a")) this.b = hearProbe(this.b, fromA, this.nowMs);
    if (!cut.includes("b")) this.a = hearProbe(this.a, fromB, this.nowMs);
    this.nowMs += 90;
  }

  send(end: "a" | "b"): Probe {
    const sequence = (this[end].said?.sequence ?? 0) + 1;
    const { lane, probe } = nextProbe(this[end], { ...SAYING, sequence }, this.nowMs);
    this[end] = lane;
    return probe;
  }

  get up(): string {
    return `${isUp(this.a, this.nowMs) ? "a" : "-"}${isUp(this.b, this.nowMs) ? "b" : "-"}`;
  }
}

describe("a lane", () => {
  test("is up when both hear each other and have said so", () => {
    const lab = new Lab();
    lab.round();
    expect(lab.up).toBe("--");
    lab.round();
    expect(lab.up).toBe("ab");
    expect(lapsesAtMs(lab.a, lab.nowMs)).toBe(lab.nowMs - 90 + 300);
  });

  test("lives through two lost probes and no more", () => {
    const lab = new Lab();
    for (let n = 0; n < 3; n++) lab.round();
    for (let n = 0; n < 2; n++) lab.round({ cut: ["a", "b"] });
    expect(lab.up).toBe("ab");
    lab.round({ cut: ["a", "b"] });
    expect(lab.up).toBe("--");
    lab.round();
    lab.round();
    expect(lab.up).toBe("ab");
  });

  test("is down at both ends when one way is cut", () => {
    const lab = new Lab();
    for (let n = 0; n < 3; n++) lab.round();
    for (let n = 0; n < 5; n++) lab.round({ cut: ["a"] });
    expect(lab.up).toBe("--");
  });

  test("tells the round trip, less the time that the other let pass", () => {
    const lab = new Lab();
    for (let n = 0; n < 3; n++) lab.round();
    expect([lab.a.roundTripMs, lab.b.roundTripMs]).toEqual([20, 20]);
  });

  test("lapses at that moment, not after it", () => {
    const lab = new Lab();
    for (let n = 0; n < 3; n++) lab.round();
    const endMs = lapsesAtMs(lab.a, lab.nowMs);
    expect([isUp(lab.a, endMs - 1), isUp(lab.a, endMs), lapsesAtMs(lab.a, endMs)]).toEqual([true, false, Infinity]);
  });

  test("stays up when the other starts anew, as long as three of its intervals", () => {
    const lab = new Lab();
    for (let n = 0; n < 3; n++) lab.round();
    lab.b = openLane(0xbb);
    const first = lab.send("b");
    expect(first.hearsYou).toBe(false);
    const lane = hearProbe(lab.a, first, lab.nowMs);
    expect([isUp(lane, lab.nowMs + 299), isUp(lane, lab.nowMs + 300)]).toEqual([true, false]);
    // It says so again and again: then packets do not pass.
    const later = hearProbe(lane, { ...first, sequence: 4 }, lab.nowMs + 270);
    expect([isUp(later, lab.nowMs + 299), isUp(later, lab.nowMs + 300)]).toEqual([true, false]);
  });

  test("is not up because the other starts anew", () => {
    const lab = new Lab();
    lab.b = openLane(0xbb);
    expect(isUp(hearProbe(lab.a, lab.send("b"), lab.nowMs), lab.nowMs)).toBe(false);
  });

  test("takes nothing that is repeated or late, and one that has started anew at once", () => {
    const lab = new Lab();
    lab.round();
    const late = lab.send("b");
    lab.round();
    const before = lab.a;
    expect(hearProbe(lab.a, late, lab.nowMs)).toBe(before);
    lab.b = openLane(0xbb);
    lab.round();
    expect(lab.a.heard?.probe).toMatchObject({ session: 0xbb, sequence: 1 });
    expect(hearProbe(lab.a, { ...late, sequence: 1_000 }, lab.nowMs)).toBe(lab.a);
  });

  test("whatever comes in whatever order, what is heard only grows", () => {
    const probe = fc.record({ sequence: fc.integer({ min: 1, max: 50 }), gapMs: fc.integer({ min: 0, max: 500 }) });
    fc.assert(
      fc.property(fc.array(probe, { maxLength: 60 }), (probes) => {
        let [lane, nowMs] = [openLane(1), 0];
        for (const { sequence, gapMs } of probes) {
          nowMs += gapMs;
          const before = lane.heard?.probe.sequence ?? 0;
          lane = hearProbe(lane, { ...SAYING, session: 2, sequence, hearsYou: true, echo: undefined }, nowMs);
          expect(lane.heard?.probe.sequence).toBe(Math.max(before, sequence));
        }
      }),
    );
  });
});

describe("the next probe", () => {
  /** A lane at rest: both hear each other, and it has said so at `nowMs`. */
  function rested(): { lane: LaneState; nowMs: number } {
    const lab = new Lab();
    for (let n = 0; n < 3; n++) lab.round();
    lab.send("a");
    return { lane: lab.a, nowMs: lab.nowMs };
  }

  test("goes at once where none has gone yet", () => {
    expect(dueAtMs(openLane(1), SAYING, 5)).toBe(Number.NEGATIVE_INFINITY);
  });

  test.each([
    { name: "there is no news", change: {}, isNews: false },
    { name: "it is to be less often", change: { intervalMs: 5_000 }, isNews: false },
    { name: "it asks no more", change: { asks: false }, isNews: false },
    { name: "it is to be more often", change: { intervalMs: 50 }, isNews: true },
    { name: "it drains", change: { isDraining: true }, isNews: true },
    { name: "it sends on another epoch", change: { sendsOn: 1n }, isNews: true },
    { name: "it has read the next record", change: { generation: 2n }, isNews: true },
  ])("when $name: at once $isNews", ({ change, isNews }) => {
    const { lane, nowMs } = rested();
    const dueMs = dueAtMs(lane, { ...SAYING, ...change }, nowMs);
    expect(dueMs).toBe(isNews ? Number.NEGATIVE_INFINITY : nowMs + 90);
  });

  test("goes at once when the other falls silent, and is an answer to one that does not hear us", () => {
    const { lane, nowMs } = rested();
    expect(dueAtMs(lane, SAYING, lapsesAtMs(lane, nowMs))).toBe(Number.NEGATIVE_INFINITY);
    const deaf = { ...SAYING, session: 0xb, sequence: 100, hearsYou: false, echo: undefined };
    const asked = hearProbe(lane, deaf, nowMs + 1);
    expect(dueAtMs(asked, SAYING, nowMs + 1)).toBe(Number.NEGATIVE_INFINITY);
    const answered = nextProbe(asked, { ...SAYING, sequence: 50 }, nowMs + 1).lane;
    expect(dueAtMs(answered, SAYING, nowMs + 1)).toBe(nowMs + 91);
  });

  test("keeps three promises of a short interval before a long one", () => {
    let { lane, nowMs } = rested();
    const gaps: number[] = [];
    for (let sequence = 10; sequence < 15; sequence++) {
      const dueMs = dueAtMs(lane, { ...SAYING, intervalMs: 1_000 }, nowMs);
      gaps.push(dueMs - nowMs);
      nowMs = dueMs;
      lane = hearProbe(lane, { ...SAYING, session: 0xb, sequence, hearsYou: true, echo: undefined }, nowMs);
      lane = nextProbe(lane, { ...SAYING, intervalMs: 1_000, sequence }, nowMs).lane;
    }
    expect(gaps).toEqual([90, 90, 90, 900, 900]);
  });
});

describe("the pace", () => {
  const use = fc.record({ hasAlternative: fc.boolean(), hasTraffic: fc.boolean(), isRotating: fc.boolean() });

  test.each([
    { use: "nothing", facts: {}, want: 5_000 },
    { use: "traffic", facts: { hasTraffic: true }, want: 5_000 },
    { use: "an alternative", facts: { hasAlternative: true }, want: 5_000 },
    { use: "an epoch", facts: { isRotating: true }, want: 1_000 },
    { use: "traffic and an alternative", facts: { hasTraffic: true, hasAlternative: true }, want: 100 },
  ])("with $use is $want ms", ({ facts, want }) => {
    expect(wishedMs({ hasAlternative: false, hasTraffic: false, isRotating: false, ...facts })).toBe(want);
  });

  test.each([
    { name: "nothing heard", heard: undefined, wish: 100, want: { intervalMs: 1_000, asks: true } },
    {
      name: "slower asked",
      heard: { intervalMs: 5_000, asks: true },
      wish: 100,
      want: { intervalMs: 100, asks: true },
    },
    {
      name: "the same asked",
      heard: { intervalMs: 100, asks: true },
      wish: 100,
      want: { intervalMs: 100, asks: true },
    },
    {
      name: "faster asked",
      heard: { intervalMs: 100, asks: true },
      wish: 5_000,
      want: { intervalMs: 100, asks: false },
    },
    {
      name: "our own wish",
      heard: { intervalMs: 100, asks: false },
      wish: 5_000,
      want: { intervalMs: 5_000, asks: true },
    },
    {
      name: "too much asked",
      heard: { intervalMs: 1, asks: true },
      wish: 5_000,
      want: { intervalMs: 100, asks: false },
    },
  ])("where the other says $name and we wish $wish ms", ({ heard, wish, want }) => {
    const probe = heard && { ...SAYING, ...heard, session: 2, sequence: 1, hearsYou: true, echo: undefined };
    const lane = probe === undefined ? openLane(1) : hearProbe(openLane(1), probe, 0);
    expect(paceOf(lane, wish, 10)).toEqual(want);
  });

  test("is the faster wish at both ends, whoever speaks first and whatever was wished before", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(use, use, fc.boolean()), { minLength: 1, maxLength: 10 }), (changes) => {
        let [a, b]: [LaneState, LaneState] = [openLane(0xa), openLane(0xb)];
        const speak = (from: LaneState, to: LaneState, wish: Use, nowMs: number): [LaneState, LaneState] => {
          const sequence = (from.said?.sequence ?? 0) + 1;
          const saying = { ...SAYING, ...paceOf(from, wishedMs(wish), nowMs), sequence };
          const { lane, probe } = nextProbe(from, saying, nowMs);
          return [lane, hearProbe(to, probe, nowMs)];
        };
        let nowMs = 0;
        for (const [ours, theirs, isOursFirst] of changes) {
          for (let n = 0; n < 4; n++, nowMs += 50) {
            if (n > 0 || isOursFirst) [a, b] = speak(a, b, ours, nowMs);
            [b, a] = speak(b, a, theirs, nowMs);
          }
          const faster = Math.min(wishedMs(ours), wishedMs(theirs));
          expect([a.said?.intervalMs, b.said?.intervalMs]).toEqual([faster, faster]);
        }
      }),
    );
  });
});

describe("the verdict", () => {
  const fallen: HoldDown = { isUp: false, seenUpSinceMs: undefined, falls: 2, fellAtMs: 100 };
  test.each([
    { name: "one that was never probed", hold: FRESH, since: undefined, want: "unknown", again: Infinity },
    { name: "one that had no time to answer", hold: FRESH, since: 7_001, want: "unknown", again: 10_001 },
    { name: "one that had, and did not", hold: FRESH, since: 7_000, want: "down", again: Infinity },
    { name: "one that is up", hold: { ...FRESH, isUp: true }, since: 0, want: "up", again: Infinity },
    { name: "one that fell", hold: fallen, since: 9_999, want: "down", again: Infinity },
    { name: "one that is held", hold: { ...fallen, seenUpSinceMs: 9_000 }, since: 0, want: "held", again: 13_000 },
  ])("on $name is $want", ({ hold, since, want, again }) => {
    expect([judge(hold, since, 10_000), judgeAgainAtMs(hold, since, 10_000)]).toEqual([want, again]);
  });
});

describe("holding down", () => {
  const walk = (steps: readonly (readonly [boolean, number])[]): HoldDown =>
    steps.reduce((state, [seenUp, atMs]) => see(state, seenUp, atMs), FRESH);

  test("counts at once what was never down", () => {
    expect(walk([[true, 0]]).isUp).toBe(true);
  });

  test("waits for one that fell, and longer each time", () => {
    expect(
      walk([
        [true, 0],
        [false, 1_000],
        [true, 1_100],
        [true, 3_000],
      ]).isUp,
    ).toBe(false);
    expect(
      walk([
        [true, 0],
        [false, 1_000],
        [true, 1_100],
        [true, 3_100],
      ]).isUp,
    ).toBe(true);
    const flapping = walk([
      [true, 0],
      [false, 1_000],
      [true, 1_100],
      [true, 3_100],
      [false, 4_000],
    ]);
    expect([flapping.isUp, holdMs(flapping)]).toEqual([false, 4_000]);
  });

  test("begins anew when it is seen down while held", () => {
    expect(
      walk([
        [true, 0],
        [false, 1_000],
        [true, 1_100],
        [false, 2_000],
        [true, 2_100],
        [true, 4_000],
      ]).isUp,
    ).toBe(false);
  });

  test("forgives with time", () => {
    const falls = [
      [true, 0],
      [false, 1_000],
      [true, 1_100],
      [true, 3_100],
      [false, 4_000],
    ] as const;
    expect(walk(falls).falls).toBe(2);
    expect(walk([...falls, [true, 5_000], [true, 9_000], [false, 200_000]]).falls).toBe(1);
  });

  test("never holds longer than five minutes, and never for ever", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 10_000 })), { maxLength: 100 }),
        (steps) => {
          let [state, nowMs] = [FRESH, 0];
          for (const [seenUp, gapMs] of steps) {
            nowMs += gapMs;
            state = see(state, seenUp, nowMs);
            if (!seenUp) expect(state.isUp).toBe(false);
          }
          const back = see(see(state, true, nowMs), true, nowMs + 300_000);
          expect(back.isUp).toBe(true);
        },
      ),
    );
  });
});
