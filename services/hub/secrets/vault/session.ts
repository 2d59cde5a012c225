/** @module The hub's login: held, renewed before it ends, and made anew when it has ended. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock, Random } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import { startLoop } from "@spanwire/runtime/loop/loop";
import type { Caller } from "./caller.ts";
import type { VaultRequest, VaultResponse } from "./client.ts";
import { type LoginWay, logIn, readGranted, type VaultToken } from "./login.ts";

export interface VaultSession {
  /** Throws as the caller does; a token that ended meanwhile is replaced, and the request sent again. */
  call(request: VaultRequest): Promise<VaultResponse>;
  /** Resolves when the signal has aborted. */
  readonly done: Promise<void>;
}

export interface SessionOptions {
  readonly call: Caller;
  readonly login: LoginWay;
  /** Asked every few seconds, so that an outage and its end are seen also when nothing is to be signed. */
  readonly probe: (call: VaultSession["call"]) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

interface Held extends VaultToken {
  readonly renewAtMs: number;
  readonly endsAtMs: number;
  /** What the login gave; a renewal that gives much less is near the end of what renewals may give. */
  readonly fullLifetimeMs: number;
}

const PROBE_MS = 5_000;
const BACKOFF = { baseMs: 500, capMs: 3_000 };
/** A part of the life, drawn anew each time, so that hubs that started together do not renew together. */
const RENEW_AFTER = { part: 0.5, jitter: 0.2 };

export function startSession(options: SessionOptions): VaultSession {
  const { call, login, probe, clock, random, log, signal } = options;
  let held: Held | undefined;
  let loggingIn: Promise<Held> | undefined;

  const loop = startLoop({
    clock,
    random,
    backoff: BACKOFF,
    signal,
    async step() {
      const present = await current();
      if (clock.now() >= present.renewAtMs) await renew(present);
      await probe(callAsUs);
      return Math.max(0, Math.min(PROBE_MS, (held?.renewAtMs ?? 0) - clock.now()));
    },
    onFailure: (err, failure, retryInMs) => log.warn({ err, failure, retryInMs }, "the secret store does not serve"),
  });
  return { call: callAsUs, done: loop.done };

  async function callAsUs(request: VaultRequest): Promise<VaultResponse> {
    const used = await current();
    try {
      return await call(request, used.secret);
    } catch (error) {
      // "permission denied" is said of a token that may not, and of one that is no more.
      if (!isDenied(error) || (await isAlive(used))) throw error;
      forget(used);
      return call(request, (await current()).secret);
    }
  }

  async function current(): Promise<Held> {
    if (held !== undefined && clock.now() < held.endsAtMs) return held;
    // Many who find it ended log in once.
    loggingIn ??= logInAnew().finally(() => {
      loggingIn = undefined;
    });
    return loggingIn;
  }

  async function logInAnew(): Promise<Held> {
    const token = await logIn(call, login);
    held = hold(token, token.lifetimeMs);
    return held;
  }

  function hold(token: VaultToken, fullLifetimeMs: number): Held {
    const nowMs = clock.now();
    const { lifetimeMs } = token;
    if (lifetimeMs === 0) return { ...token, fullLifetimeMs, renewAtMs: Infinity, endsAtMs: Infinity };
    const renewAtMs = nowMs + lifetimeMs * (RENEW_AFTER.part + RENEW_AFTER.jitter * random());
    return { ...token, fullLifetimeMs, renewAtMs, endsAtMs: nowMs + lifetimeMs };
  }

  async function renew(present: Held): Promise<void> {
    const renewed = present.isRenewable ? await renewSelf(present) : undefined;
    if (renewed !== undefined && renewed.lifetimeMs >= present.fullLifetimeMs / 2) {
      held = hold(renewed, present.fullLifetimeMs);
      return;
    }
    forget(present);
    await current();
  }

  async function renewSelf(present: Held): Promise<VaultToken | undefined> {
    try {
      const answer = await call({ method: "POST", path: "auth/token/renew-self", body: {} }, present.secret);
      return answer.status === 200 ? readGranted(answer.body) : undefined;
    } catch (error) {
      if (isDenied(error)) return undefined;
      throw error;
    }
  }

  async function isAlive({ secret }: Held): Promise<boolean> {
    try {
      return (await call({ method: "GET", path: "auth/token/lookup-self" }, secret)).status === 200;
    } catch (error) {
      if (isDenied(error)) return false;
      throw error;
    }
  }

  function forget(ended: Held): void {
    if (held?.secret === ended.secret) held = undefined;
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof SpanwireError && error.reason === "VAULT_DENIED";
}
