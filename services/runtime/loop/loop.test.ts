import { SpanwireError } from "@spanwire/core/errors";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeClock } from "../clock/fake-clock.ts";
import { fullJitterMs } from "./backoff.ts";
import { classifyFailure } from "./classify-failure.ts";
import { type Loop, type LoopOptions, startLoop } from "./loop.ts";

const backoff = { baseMs: 100, capMs: 1_000 };
const away = new SpanwireError("unavailable", "hub: away");
const refused = new SpanwireError("denied", "hub: no");

/** Starts a loop whose steps are scripted: each entry is thrown or returned; after the last one the loop rests. */
function start(script: readonly (Error | number | undefined)[] = [], options: Partial<LoopOptions> = {}) {
  const clock = new FakeClock();
  const controller = new AbortController();
  const steps: number[] = [];
  const failures: string[] = [];
  const loop: Loop = startLoop({
    step: async () => {
      steps.push(clock.now());
      const next = script[steps.length - 1];
      if (next instanceof Error) throw next;
      return next;
    },
    onFailure: (_error, failure, retryInMs) => failures.push(`${failure} ${retryInMs}`),
    clock,
    random: () => 0.5,
    backoff,
    signal: controller.signal,
    ...options,
  });
  return { loop, clock, steps, failures, stop: () => controller.abort() };
}

test("runs at once, then rests until woken", async () => {
  const { loop, clock, steps, stop } = start();
  await clock.advance(1_000_000);
  expect(steps).toEqual([0]);
  loop.wake();
  await clock.advance(0);
  expect(steps).toEqual([0, 1_000_000]);
  stop();
  await loop.done;
});

test("any number of wake-ups during a step is one further step, and steps never overlap", async () => {
  let running = 0;
  let steps = 0;
  const { loop, clock, stop } = start([], {
    step: async () => {
      expect(++running).toBe(1);
      steps++;
      await clock.sleep(10);
      running--;
      return undefined;
    },
  });
  await clock.asleep();
  for (let n = 0; n < 5; n++) loop.wake();
  await clock.advance(100);
  expect(steps).toBe(2);
  stop();
  await loop.done;
});

test("looks again after the time that the step asked for", async () => {
  const { loop, clock, steps, stop } = start([30, 30]);
  await clock.advance(1_000);
  expect(steps).toEqual([0, 30, 60]);
  stop();
  await loop.done;
});

test("backs off while steps fail, up to the cap, and starts over after a success", async () => {
  const { loop, clock, steps, failures, stop } = start([away, away, away, away, away, away, 5, away]);
  await clock.advance(10_000);
  const retries = [50, 100, 200, 400, 500, 500, 50];
  expect(failures).toEqual(retries.map((ms) => `retryable ${ms}`));
  expect(steps).toEqual([0, 50, 150, 350, 750, 1250, 1750, 1755, 1805]);
  stop();
  await loop.done;
});

test("a wake-up shortens a long back-off, but a stream of them does not make a busy loop", async () => {
  const { loop, clock, steps, stop } = start(
    Array.from({ length: 100 }, () => away),
    { random: () => 0.999 },
  );
  for (let ms = 0; ms < 1_000; ms++) {
    loop.wake();
    await clock.advance(1);
  }
  expect(steps.length).toBeGreaterThanOrEqual(10);
  expect(steps.length).toBeLessThanOrEqual(12);
  stop();
  await loop.done;
});

test("a terminal failure waits for new input", async () => {
  const { loop, clock, steps, failures, stop } = start([refused]);
  await clock.advance(1_000_000);
  expect(steps).toEqual([0]);
  expect(failures).toEqual(["terminal undefined"]);
  loop.wake();
  await clock.advance(0);
  expect(steps).toHaveLength(2);
  stop();
  await loop.done;
});

test("a bug ends the loop with its error", async () => {
  const bug = new TypeError("x is undefined");
  const { loop, failures } = start([bug]);
  await expect(loop.done).rejects.toBe(bug);
  expect(failures).toEqual(["bug undefined"]);
});

test.each([
  { name: "resting", script: [] },
  { name: "backing off", script: [away] },
  { name: "waiting", script: [60_000] },
])("ends at once when the signal aborts while $name", async ({ script }) => {
  const { loop, clock, steps, stop } = start(script);
  await clock.advance(0);
  expect(steps).toEqual([0]);
  stop();
  await loop.done;
  expect(steps).toEqual([0]);
  expect(clock.sleeping).toEqual([]);
});

test("a step that fails because of the abort is no failure", async () => {
  const { loop, clock, failures, stop } = start([], {
    step: async (signal) => {
      await clock.sleep(60_000, signal);
      return undefined;
    },
  });
  await clock.asleep();
  stop();
  await loop.done;
  expect(failures).toEqual([]);
});

test.each([
  { name: "a system error", error: Object.assign(new Error("connect"), { code: "ECONNREFUSED" }), want: "retryable" },
  { name: "a library's error", error: new Error("timeout"), want: "retryable" },
  { name: "a failed fetch", error: new TypeError("fetch failed", { cause: new Error("reset") }), want: "retryable" },
  { name: "no error at all", error: "text", want: "retryable" },
  {
    name: "a conflict that may pass",
    error: new SpanwireError("conflict", "x", { retryable: true }),
    want: "retryable",
  },
  { name: "a refusal", error: refused, want: "terminal" },
  { name: "a null dereference", error: new TypeError("null"), want: "bug" },
  { name: "refusals together", error: new AggregateError([refused, refused]), want: "terminal" },
  { name: "a refusal and an outage", error: new AggregateError([refused, away]), want: "retryable" },
  { name: "an outage and a bug", error: new AggregateError([away, new TypeError("null")]), want: "bug" },
])("$name is $want", ({ error, want }) => {
  expect(classifyFailure(error)).toBe(want);
});

test("full jitter stays between nothing and the doubling limit, and never exceeds the cap", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (n, random) => {
        const ms = fullJitterMs(backoff, n, () => random);
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(Math.min(1_000, 100 * 2 ** (n - 1)));
      },
    ),
  );
});
