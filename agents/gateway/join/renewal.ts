/** @module Keeps the credentials fresh: renews well before they expire, and for as long as it takes; joins again if need be. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Signer } from "@spanwire/core/records/crypto";
import type { Clock, Random } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import { startLoop } from "@spanwire/runtime/loop/loop";
import { type Membership, storeMembership } from "./membership.ts";
import { renew } from "./renew.ts";

export interface RenewalOptions {
  readonly stateDirectory: string;
  readonly membership: Membership;
  readonly signer: Signer;
  /** Called with each fresh membership, after it was stored. Connections are left alone: they read it when they reconnect. */
  readonly onRenewed: (membership: Membership) => void;
  /** Joins once more with the same identity; undefined where only an operator can help. */
  readonly rejoin: (() => Promise<Membership>) | undefined;
  /** Called after the hub had forgotten us and a new membership was stored: everything is to begin with that one. */
  readonly onRejoined: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface Renewal {
  /** The newest credentials. */
  readonly membership: Membership;
  /** Why the last try failed; undefined while all is well. */
  readonly problem: string | undefined;
  /** Renews as soon as possible: after a first start without a map, or a refused connection. */
  now(): void;
  /** Resolves when the signal has aborted. */
  readonly done: Promise<void>;
}

/** The clock may be stepped: look again at least this often. */
const LOOK_AGAIN_MS = 3_600_000;
/** Also when the hub's clock is far behind ours: no hub is asked more often than every ten seconds. */
const MIN_LIFETIME_MS = 20_000;
/** A refusal will hardly change, but a hub may be restored from a backup. */
const AFTER_REFUSAL_MS = 300_000;

/** Starts to renew at about 60 % of each lifetime; the first try is at once if that time has passed. */
export function startRenewal(options: RenewalOptions): Renewal {
  const { stateDirectory, signer, onRenewed, rejoin, onRejoined, clock, random, log, signal } = options;
  let { membership } = options;
  let dueMs = renewAtMs(membership, random);
  let problem: string | undefined;

  const loop = startLoop({
    clock,
    random,
    signal,
    async step() {
      const nowMs = clock.now();
      // Before the credentials came: the clock was stepped back, and says nothing about when they expire.
      if (nowMs >= membership.receivedAtMs && nowMs < dueMs) return Math.min(dueMs - nowMs, LOOK_AGAIN_MS);
      try {
        membership = await renew({ membership, signer, nowMs: () => clock.now(), signal });
      } catch (error) {
        if (!(error instanceof SpanwireError) || error.retryable) throw error;
        if (error.reason === "UNKNOWN_GATEWAY" && rejoin !== undefined) return joinAgain(rejoin);
        problem = error.message;
        log.error({ err: error }, "the hub refuses to renew the credentials");
        return AFTER_REFUSAL_MS;
      }
      problem = undefined;
      dueMs = renewAtMs(membership, random);
      await storeMembership(stateDirectory, membership).catch((error: unknown) => {
        log.warn({ err: error }, "the renewed credentials were not stored"); // the old ones renew as well
      });
      onRenewed(membership);
      return 0;
    },
    onFailure(error, _failure, retryInMs) {
      problem = error instanceof Error ? error.message : String(error);
      log.warn({ err: error, retryInMs }, "renewing the credentials failed");
    },
  });

  async function joinAgain(rejoinNow: () => Promise<Membership>): Promise<number> {
    try {
      await storeMembership(stateDirectory, await rejoinNow());
    } catch (error) {
      if (!(error instanceof SpanwireError) || error.retryable) throw error;
      problem = error.message;
      log.error({ err: error }, "the hub has forgotten this gateway, and refuses to let it join again");
      return AFTER_REFUSAL_MS;
    }
    log.warn({}, "the hub had forgotten this gateway: joined again");
    onRejoined();
    return LOOK_AGAIN_MS;
  }

  return {
    get membership() {
      return membership;
    },
    get problem() {
      return problem;
    },
    now() {
      dueMs = Number.NEGATIVE_INFINITY;
      loop.wake();
    },
    done: loop.done,
  };
}

/** Between 50 and 70 % of the lifetime: a thousand agents that joined together must not renew together. */
export function renewAtMs({ receivedAtMs, credentials }: Membership, random: Random): number {
  const lifetimeMs = Number(credentials.expiresAt?.seconds ?? 0n) * 1_000 - receivedAtMs;
  return receivedAtMs + Math.max(MIN_LIFETIME_MS, lifetimeMs) * (0.5 + random() * 0.2);
}
