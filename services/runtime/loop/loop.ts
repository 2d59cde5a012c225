/** @module The level-triggered loop that every reconciler runs in. */
import type { Clock, Random } from "@spanwire/core/time";
import { type Backoff, fullJitterMs } from "./backoff.ts";
import { classifyFailure, type Failure } from "./classify-failure.ts";

export interface LoopOptions {
  /**
   * Looks at the world and does what is missing; safe to run at any time, any number of times. Resolves to the
   * milliseconds after which to look again although nobody wakes the loop, or to undefined.
   */
  readonly step: (signal: AbortSignal) => Promise<number | undefined>;
  /** Told of each failed step; `retryInMs` is undefined where only a wake-up or a restart helps. */
  readonly onFailure: (error: unknown, failure: Failure, retryInMs: number | undefined) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly backoff?: Backoff;
  readonly signal: AbortSignal;
}

export interface Loop {
  /** Says "look again". A wake-up during a step is kept; any number of them is one further step. */
  wake(): void;
  /** Resolves when the signal has aborted and the last step has ended; rejects with the error of a bug. */
  readonly done: Promise<void>;
}

const BACKOFF: Backoff = { baseMs: 200, capMs: 30_000 };

/**
 * Starts the loop; the first step runs as soon as the caller awaits, and steps never overlap. A wake-up during a back-off shortens it to
 * `baseMs` after the failure: new input need not wait for an old trouble, yet a stream of wake-ups cannot turn the
 * back-off into a busy loop.
 */
export function startLoop(options: LoopOptions): Loop {
  const bell = createBell(options.clock);
  options.signal.addEventListener("abort", bell.ring, { once: true });
  return { wake: bell.ring, done: run(options, bell) };
}

async function run(options: LoopOptions, bell: Bell): Promise<void> {
  const { step, onFailure, clock, random, backoff = BACKOFF, signal } = options;
  let failures = 0;
  await undefined; // the first step may use what the caller makes of the loop
  while (!signal.aborted) {
    bell.forget(); // before the step reads the world: what changes during the step needs another one
    try {
      const againInMs = await step(signal);
      failures = 0;
      await bell.heard(againInMs);
    } catch (error) {
      if (signal.aborted) return;
      const failure = classifyFailure(error);
      const retryInMs = failure === "retryable" ? fullJitterMs(backoff, ++failures, random) : undefined;
      onFailure(error, failure, retryInMs);
      if (failure === "bug") throw error;
      const restMs = Math.min(retryInMs ?? backoff.baseMs, backoff.baseMs);
      await clock.sleep(restMs, signal).catch(() => {});
      await bell.heard(retryInMs === undefined ? undefined : retryInMs - restMs);
    }
  }
}

interface Bell {
  ring(): void;
  forget(): void;
  /** Resolves when it has been rung since `forget`, or after `ms`. */
  heard(ms: number | undefined): Promise<void>;
}

/** A reason of our own, because without one each abort would make a DOMException with a stack trace. */
const HEARD = "heard";

/** Most waits end by ringing and have no other end: those cost no timer, and no signal to cancel it. */
function createBell(clock: Clock): Bell {
  let isRung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      isRung = true;
      wake?.();
    },
    forget() {
      isRung = false;
    },
    async heard(ms) {
      if (isRung) return;
      const rung = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (ms === undefined) return rung;
      const timer = new AbortController();
      await Promise.race([rung, clock.sleep(ms, timer.signal).catch(() => {})]);
      timer.abort(HEARD);
    },
  };
}
