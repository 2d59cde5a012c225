/** @module A clock that stands still until a test moves it. */
import { setImmediate } from "node:timers/promises";
import type { Clock } from "@spanwire/core/time";

interface Sleeper {
  /** In elapsed time, not in wall-clock time. */
  readonly wakeAt: number;
  readonly wake: () => void;
}

/**
 * Behaves as the real clock does, at the test's pace: sleepers wake in the order of their time, each sees `now()` at
 * exactly that time, and one that sleeps again within the same `advance` wakes again within it.
 */
export class FakeClock implements Clock {
  /** What `now()` says beyond the elapsed time; only `step` changes it. */
  #epoch: number;
  #elapsed = 0;
  /** Sorted by wake-up time; equal times in the order in which they went to sleep. */
  readonly #sleepers: Sleeper[] = [];
  readonly #onSleep = new Set<() => void>();

  constructor(now = 0) {
    this.#epoch = now;
  }

  now(): number {
    return this.#epoch + this.#elapsed;
  }

  elapsed(): number {
    return this.#elapsed;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const sleeper = { wakeAt: this.#elapsed + Math.max(0, ms), wake };
      const cancel = () => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
        reject(signal?.reason);
      };
      function wake(): void {
        signal?.removeEventListener("abort", cancel);
        resolve();
      }
      signal?.addEventListener("abort", cancel, { once: true });
      this.#insert(sleeper);
      for (const notify of this.#onSleep) notify();
    });
  }

  /** Moves time on by `ms`, waking everybody whose time comes, and lets each do what it can before the next wakes. */
  async advance(ms: number): Promise<void> {
    const until = this.#elapsed + ms;
    await setImmediate();
    for (let next = this.#sleepers[0]; next !== undefined && next.wakeAt <= until; next = this.#sleepers[0]) {
      this.#sleepers.shift();
      this.#elapsed = next.wakeAt;
      next.wake();
      await setImmediate();
    }
    this.#elapsed = until;
  }

  /** Steps the wall clock, as NTP or an operator does: nobody's waiting time changes, only what `now()` says. */
  step(ms: number): void {
    this.#epoch += ms;
  }

  /** The waiting times left, shortest first. */
  get sleeping(): readonly number[] {
    return this.#sleepers.map(({ wakeAt }) => wakeAt - this.#elapsed);
  }

  /** Resolves as soon as at least `count` sleep: the condition to wait for before `advance`. */
  async asleep(count = 1): Promise<void> {
    while (this.#sleepers.length < count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onSleep.add(resolve);
      await promise;
      this.#onSleep.delete(resolve);
    }
  }

  #insert(sleeper: Sleeper): void {
    const after = this.#sleepers.findIndex(({ wakeAt }) => wakeAt > sleeper.wakeAt);
    this.#sleepers.splice(after < 0 ? this.#sleepers.length : after, 0, sleeper);
  }
}
