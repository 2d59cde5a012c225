import type { Clock } from "@spanwire/core/time";
import { expect, test } from "vitest";
import { FakeClock } from "./fake-clock.ts";
import { systemClock } from "./system-clock.ts";

/** What every clock does; the fake one is moved by hand while the promise is pending. */
const clocks: { name: string; make: () => { clock: Clock; pass: (ms: number) => Promise<void> } }[] = [
  { name: "system clock", make: () => ({ clock: systemClock, pass: async () => {} }) },
  {
    name: "fake clock",
    make: () => {
      const clock = new FakeClock(1_000);
      return { clock, pass: (ms) => clock.advance(ms) };
    },
  },
];

test.each(clocks)("$name: sleeps no shorter than asked", async ({ make }) => {
  const { clock, pass } = make();
  const start = clock.elapsed();
  await Promise.all([clock.sleep(20), pass(20)]);
  expect(clock.elapsed() - start).toBeGreaterThanOrEqual(20);
});

test.each(clocks)("$name: rejects with the signal's reason, before and during the sleep", async ({ make }) => {
  const { clock } = make();
  const reason = new Error("closing");
  await expect(clock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const sleep = clock.sleep(60_000, controller.signal);
  controller.abort(reason);
  await expect(sleep).rejects.toBe(reason);
});

test("the system clock tells the time of day", () => {
  expect(new Date(systemClock.now()).getFullYear()).toBeGreaterThan(2025);
});

test("a sleep longer than a timer can be does not end at once", async () => {
  const controller = new AbortController();
  const sleep = systemClock.sleep(2 ** 31 + 1, controller.signal);
  const first = await Promise.race([
    sleep.then(
      () => "sleep",
      () => "abort",
    ),
    systemClock.sleep(20).then(() => "timer"),
  ]);
  expect(first).toBe("timer");
  controller.abort();
  await expect(sleep).rejects.toThrow();
});

test("the fake wakes sleepers in order, each at its own time, also those that sleep again", async () => {
  const clock = new FakeClock();
  const seen: string[] = [];
  const sleepAndNote = async (name: string, ...times: number[]) => {
    for (const ms of times) {
      await clock.sleep(ms);
      seen.push(`${name}@${clock.now()}`);
    }
  };
  const all = [sleepAndNote("a", 10, 10, 10), sleepAndNote("b", 15), sleepAndNote("c", 5, 5)];
  await clock.advance(24);
  expect(seen).toEqual(["c@5", "a@10", "c@10", "b@15", "a@20"]);
  expect(clock.sleeping).toEqual([6]);
  await clock.advance(6);
  await Promise.all(all);
  expect(clock.now()).toBe(30);
});

test("the fake tells when somebody sleeps", async () => {
  const clock = new FakeClock();
  const asleep = clock.asleep(2);
  const sleeps = [clock.sleep(1), clock.sleep(2)];
  await asleep;
  await clock.advance(2);
  await Promise.all(sleeps);
});

test("a step of the fake's wall clock changes no waiting time", async () => {
  const clock = new FakeClock(1_000);
  const controller = new AbortController();
  const [sleep, cancelled] = [clock.sleep(10), clock.sleep(20, controller.signal)];
  clock.step(-500);
  expect([clock.now(), clock.elapsed()]).toEqual([500, 0]);
  expect(clock.sleeping).toEqual([10, 20]);
  controller.abort();
  await expect(cancelled).rejects.toThrow();
  await Promise.all([sleep, clock.advance(10)]);
  expect(clock.sleeping).toEqual([]);
});
