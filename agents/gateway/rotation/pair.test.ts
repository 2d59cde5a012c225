import type { EpochView } from "@spanwire/core/rotation/epoch";
import { expect, test } from "vitest";
import type { GatewayView } from "../liveness/gateway-watch.ts";
import { Pair } from "./pair.ts";

const OPEN: EpochView = { active: 4n, opening: 5n, state: "open", generation: 10n };
const CLOSING: EpochView = { ...OPEN, state: "closing", generation: 11n };
const STEADY: EpochView = { active: 5n, opening: undefined, state: "steady", generation: 12n };
const TIMES = { drainMs: 10_000, absentAfterMs: 60_000 };
const BOTH = [4n, 5n];

/** Probes pass on these planes, and this is what the other said last. */
function seen(planes: string, sendsOn: bigint, generation: bigint, heardAtMs = 0): GatewayView {
  const word = { isDraining: false, sendsOn, generation };
  const lane = (plane: "a" | "b") => [plane, { isUp: planes.includes(plane), roundTripMs: 1, heard: word }] as const;
  return { verdict: "up", lanes: new Map([lane("a"), lane("b")]), word, heardAtMs };
}

/** What is wanted after a look, and how far that is. */
function look(pair: Pair, epoch: EpochView, view: GatewayView | undefined, nowMs: number, common = BOTH): string {
  pair.look({ epoch, common, view, nowMs });
  return `${pair.wish.build} >${pair.wish.sendOn} ${pair.phase(epoch.generation)}`;
}

test("goes from one epoch to the next, one change of the kernel after the other", () => {
  const pair = new Pair({ build: [4n], sendOn: 4n }, TIMES, 0);
  expect(look(pair, OPEN, seen("a", 4n, 10n), 0, [4n])).toBe("4 >4 waiting");
  expect(look(pair, OPEN, seen("a", 4n, 10n), 0)).toBe("4,5 >4 waiting");
  pair.confirm();
  expect(look(pair, OPEN, seen("a", 4n, 10n), 0)).toBe("4,5 >4 building");
  expect(look(pair, OPEN, seen("ab", 4n, 10n), 0)).toBe("4,5 >5 ready");
  expect(pair.sendsOn).toBe(4n); // it is not said before the kernel does it
  pair.confirm();
  expect(pair.sendsOn).toBe(5n);
  expect(look(pair, OPEN, seen("ab", 4n, 10n), 1_000)).toBe("4,5 >5 flipped");
  expect(look(pair, OPEN, seen("ab", 5n, 10n), 2_000)).toBe("4,5 >5 flipped");
  expect(look(pair, OPEN, seen("ab", 5n, 10n), 12_000)).toBe("4,5 >5 drained");
  expect(look(pair, CLOSING, seen("ab", 5n, 10n), 12_000)).toBe("4,5 >5 flipped");
  expect(look(pair, CLOSING, seen("ab", 5n, 11n), 12_000)).toBe("5 >5 drained");
  expect(pair.inUse).toContain(4n);
  pair.confirm();
  expect(look(pair, CLOSING, seen("b", 5n, 11n), 12_000)).toBe("5 >5 done");
  expect(pair.inUse).not.toContain(4n);
});

test("the drain begins anew when the other turns back", () => {
  const pair = new Pair({ build: BOTH, sendOn: 5n }, TIMES, 0);
  look(pair, OPEN, seen("ab", 5n, 10n), 0);
  look(pair, OPEN, seen("ab", 4n, 10n), 9_000);
  expect(look(pair, OPEN, seen("ab", 5n, 10n), 11_000)).toBe("4,5 >5 flipped");
  expect(pair.look({ epoch: OPEN, common: BOTH, view: seen("ab", 5n, 10n), nowMs: 12_000 }).againAtMs).toBe(21_000);
  expect(look(pair, OPEN, seen("ab", 5n, 10n), 21_000)).toBe("4,5 >5 drained");
});

test("one that fell silent counts as away after its time, and says when", () => {
  const pair = new Pair({ build: [4n], sendOn: 4n }, TIMES, 1_000);
  const { againAtMs } = pair.look({ epoch: OPEN, common: [4n], view: undefined, nowMs: 1_000 });
  expect([pair.isAlive, againAtMs]).toEqual([true, 61_000]);
  look(pair, OPEN, seen("", 4n, 9n, 30_000), 89_999, [4n]);
  expect(pair.isAlive).toBe(true);
  look(pair, OPEN, seen("", 4n, 9n, 30_000), 90_000, [4n]);
  expect(pair.isAlive).toBe(false);
});

test("a peer whose key the other has taken back is not held", () => {
  const pair = new Pair({ build: BOTH, sendOn: 5n }, TIMES, 0);
  expect(look(pair, STEADY, seen("b", 5n, 12n), 0, [5n])).toBe("5 >5 flipped");
});

test("what was decided under another record says nothing of this one", () => {
  const pair = new Pair({ build: [5n], sendOn: 5n }, TIMES, 0);
  look(pair, STEADY, seen("b", 5n, 12n), 0, [5n]);
  look(pair, STEADY, seen("b", 5n, 12n), 10_000, [5n]);
  expect([pair.phase(12n), pair.phase(13n)]).toEqual(["done", "waiting"]);
});
