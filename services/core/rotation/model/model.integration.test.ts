import { expect, test } from "vitest";
import { targetEpoch } from "../epoch.ts";
import { decidePair } from "../pair.ts";
import { explore } from "./explore.ts";
import { RULES } from "./moves.ts";
import { brokenPair, restingWorld, type World } from "./world.ts";

/** At rest on an epoch, each gateway with one key and one peer for each other. */
const isAtRest = ({ epoch, gateways }: World) =>
  (epoch.state === "steady" || epoch.state === "aborted") &&
  gateways.every(
    ({ isAway, keys, pairs }, own) =>
      !isAway &&
      keys.join() === String(epoch.active) &&
      pairs.every(({ built, sendsOn }, other) => own === other || `${built}>${sendsOn}` === `${keys}>${keys}`),
  );
const hasRotated = (world: World) => world.opensLeft === 0 && isAtRest(world);
const ROTATION = { findProblem: brokenPair, isEnd: hasRotated };

test.each([
  ["killed between any two changes", { opens: 1, aborts: 0 }, { crashing: [0, 1] }],
  ["killed, and aborted at any moment", { opens: 1, aborts: 1 }, { crashing: [0, 1] }],
  ["twice in a row", { opens: 2, aborts: 0 }, { actsAtOnce: true, crashing: [0] }],
  ["aborted, then once more", { opens: 2, aborts: 1 }, { actsAtOnce: true }],
  [
    "one away at any moment, and not waited for",
    { opens: 1, aborts: 0 },
    { actsAtOnce: true, leaving: [1], crashing: [0] },
  ],
  ["one has just joined", { opens: 1, aborts: 0, joined: 1 }, { crashing: [0, 1] }],
])("two gateways, %s: a live pair can always talk, and the rotation can always end", (_, limits, rules) => {
  const explored = explore(restingWorld(2, limits), { ...RULES, ...rules }, ROTATION);
  expect(explored).toMatchObject({ broken: undefined, stuck: undefined });
  expect(explored.worlds).toBeGreaterThan(500);
});

test("one that is away for two rotations loses its tunnel, and gets another", () => {
  const rules = { ...RULES, actsAtOnce: true, leaving: [1] };
  const start = restingWorld(2, { opens: 2, aborts: 0 });
  expect(explore(start, rules, ROTATION).broken?.problem).toBe("1 sends to 0 on 0");
  expect(explore(start, rules, { ...ROTATION, findProblem: () => undefined }).stuck).toBeUndefined();
});

test("three gateways, one killed at any moment", () => {
  const rules = { ...RULES, actsAtOnce: true, crashing: [0] };
  const explored = explore(restingWorld(3, { opens: 1, aborts: 0 }), rules, ROTATION);
  expect(explored).toMatchObject({ broken: undefined, stuck: undefined });
  expect(explored.worlds).toBeGreaterThan(50_000);
}, 600_000);

test("finds the loss when an old peer goes as soon as we have flipped", () => {
  const hasty: typeof decidePair = (epoch, pair) => {
    const wish = decidePair(epoch, pair);
    const target = targetEpoch(epoch);
    return pair.sendsOn === target ? { ...wish, build: [target] } : wish;
  };
  const { broken } = explore(restingWorld(2, { opens: 1, aborts: 0 }), { ...RULES, decidePair: hasty }, ROTATION);
  expect(broken?.problem).toBe("1 sends to 0 on 0");
  expect(broken?.moves.at(-1)).toBe("0 changes its pair with 1");
});

test("finds the loss when a gateway takes a plane away from one that has not heard of the abort", () => {
  const deaf: typeof decidePair = (epoch, pair) =>
    decidePair(epoch, { ...pair, heard: pair.heard && { ...pair.heard, generation: epoch.generation } });
  const { broken } = explore(restingWorld(2, { opens: 1, aborts: 1 }), { ...RULES, decidePair: deaf }, ROTATION);
  expect(broken?.problem).toMatch(/sends to . on 1/);
});
