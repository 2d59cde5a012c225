/** @module Asks nobody in vain: after a failure all fail at once, until it is time for one to try again. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock, Random } from "@spanwire/core/time";
import { type Backoff, fullJitterMs } from "@spanwire/runtime/loop/backoff";

export interface Outage {
  readonly sinceMs: number;
  readonly error: SpanwireError;
}

export interface Breaker {
  /** From the first failure to the next success. */
  readonly outage: Outage | undefined;
  /** Returns for one whose turn it is to ask; throws the error of the outage for all others. */
  admit(): void;
  succeeded(): void;
  failed(error: SpanwireError): void;
}

export interface BreakerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly backoff: Backoff;
  /** As long as one that was admitted may take to succeed or fail. */
  readonly trialMs: number;
  /** Called when an outage has ended. */
  readonly onEnd: () => void;
}

export function createBreaker({ clock, random, backoff, trialMs, onEnd }: BreakerOptions): Breaker {
  let outage: Outage | undefined;
  let failures = 0;
  let askedAtMs = 0;
  let nextTrialMs = 0;
  return {
    get outage() {
      return outage;
    },
    admit() {
      if (outage === undefined) return;
      const nowMs = clock.now();
      const { message, code, reason } = outage.error;
      const isClockSetBack = nowMs < askedAtMs;
      if (nowMs < nextTrialMs && !isClockSetBack)
        throw new SpanwireError(code, message, { reason, cause: outage.error });
      askedAtMs = nowMs;
      nextTrialMs = nowMs + trialMs;
    },
    succeeded() {
      if (outage === undefined) return;
      outage = undefined;
      failures = 0;
      onEnd();
    },
    failed(error) {
      const nowMs = clock.now();
      outage = { sinceMs: outage?.sinceMs ?? nowMs, error };
      askedAtMs = nowMs;
      nextTrialMs = nowMs + fullJitterMs(backoff, ++failures, random);
    },
  };
}
