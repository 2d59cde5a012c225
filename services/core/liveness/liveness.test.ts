import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FRESH, type HoldDown, holdMs, see } from "./hold-down.ts";
import { downAtMs, hearProbe, isUp, type LaneState, nextProbe, openLane } from "./lane.ts";
import type { Probe } from "./probe.ts";

const SAYING = { intervalMs: 100, isDraining: false, sendsOn: 0n, generation: 1n };

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
    const { lane, probe } = nextProbe(this[end], SAYING, this.nowMs);
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
    expect(downAtMs(lab.a, lab.nowMs)).toBe(lab.nowMs - 90 + 300);
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
