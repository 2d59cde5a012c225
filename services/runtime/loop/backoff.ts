/** @module How long to wait after a failure. */
import type { Random } from "@spanwire/core/time";

export interface Backoff {
  /** The longest wait after the first failure. */
  readonly baseMs: number;
  /** The longest wait ever. */
  readonly capMs: number;
}

/**
 * Draws the wait after `failures` failures in a row: anywhere between nothing and a limit that doubles up to the cap.
 * "Full jitter", because a thousand agents that lost the same hub must not come back in step.
 */
export function fullJitterMs({ baseMs, capMs }: Backoff, failures: number, random: Random): number {
  return random() * Math.min(capMs, baseMs * 2 ** Math.max(0, failures - 1));
}
