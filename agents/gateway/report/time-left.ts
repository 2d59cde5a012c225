/** @module Waiting by a clock that may be stepped. */

/** What is left at `nowMs` of a rest that began at `sinceMs`; nothing where the clock was stepped back behind it. */
export function timeLeftMs(sinceMs: number, restMs: number, nowMs: number): number {
  return nowMs < sinceMs ? 0 : Math.max(0, sinceMs + restMs - nowMs);
}
