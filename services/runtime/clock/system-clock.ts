/** @module The real clock. */
import type { Clock } from "@spanwire/core/time";

/** setTimeout takes a signed 32-bit number; what is longer (24.8 days) it would run at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: Date.now,
  elapsed: () => performance.now(),
  async sleep(ms, signal) {
    // By the monotonic clock: a step of the wall clock must not shorten or stretch a wait.
    const wakeAt = performance.now() + ms;
    do await oneTimer(Math.min(wakeAt - performance.now(), LONGEST_TIMER_MS), signal);
    while (performance.now() < wakeAt);
  },
};

function oneTimer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(finish, Math.max(0, ms));
    signal?.addEventListener("abort", cancel, { once: true });

    function finish(): void {
      signal?.removeEventListener("abort", cancel);
      resolve();
    }
    function cancel(): void {
      clearTimeout(timer);
      reject(signal?.reason);
    }
  });
}
