/** @module Waits for a condition. */
import { systemClock } from "@spanwire/runtime/clock/system-clock";

const POLL_MS = 100;
const PATIENCE_MS = 300_000;

/** Rejects when it does not come true within five minutes. */
export async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("waited five minutes for what does not come");
    await systemClock.sleep(POLL_MS);
  }
}
