/** @module Time as an argument: nothing here or above it reads a clock of its own. */

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds since some moment of its own. Never steps, as `now` does when the wall clock is set. */
  elapsed(): number;
  /** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A number in [0, 1), as Math.random gives it. */
export type Random = () => number;
