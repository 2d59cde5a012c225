import { PairPhase } from "@spanwire/proto/agent";
import { expect, test } from "vitest";
import { type PairProgress, rotationProgress } from "./progress.ts";

const OPEN = { active: 4n, opening: 5n, state: "open", generation: 10n } as const;
const pairs = (count: number, rest: Omit<PairProgress, "gateway">): PairProgress[] =>
  Array.from({ length: count }, (_, n) => ({ gateway: `c${n}-${rest.phase}.1`, ...rest }));

test("counts all pairs, and names those that keep the rotation from its next step", () => {
  const some = [...pairs(1, { phase: "flipped", isAlive: true }), ...pairs(2, { phase: "drained", isAlive: true })];
  const phases = [
    { phase: PairPhase.FLIPPED, pairs: 1 },
    { phase: PairPhase.DRAINED, pairs: 2 },
  ];
  const open = rotationProgress(OPEN, some);
  expect(open).toMatchObject({ generation: 10n, phases, unlisted: 0 });
  expect(open.behind).toEqual([{ clusterId: "c0-flipped", ordinal: 1, phase: PairPhase.FLIPPED, alive: true }]);
  expect(rotationProgress({ ...OPEN, state: "closing" }, some).behind).toHaveLength(3);
});

test("of many it names the live ones first, and counts the live ones that it does not name", () => {
  const many = [...pairs(40, { phase: "waiting", isAlive: false }), ...pairs(20, { phase: "building", isAlive: true })];
  const { behind = [], unlisted } = rotationProgress(OPEN, many);
  expect([behind.length, behind.every(({ alive }) => alive), unlisted]).toEqual([16, true, 4]);
  expect(rotationProgress(OPEN, pairs(40, { phase: "waiting", isAlive: false })).unlisted).toBe(0);
});
