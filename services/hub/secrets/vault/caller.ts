/** @module Requests with a deadline, tried again where that helps, and not sent at all while the server is away. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Secret } from "@spanwire/core/identity/secret";
import type { Clock, Random } from "@spanwire/core/time";
import { fullJitterMs } from "@spanwire/runtime/loop/backoff";
import type { Breaker } from "./breaker.ts";
import type { VaultClient, VaultRequest, VaultResponse } from "./client.ts";

/** Throws as `VaultClient.send` does, and `unavailable` (`VAULT_SLOW`) after the deadline. Every request may be sent twice. */
export type Caller = (request: VaultRequest, token?: Secret) => Promise<VaultResponse>;

export interface CallerOptions {
  readonly client: VaultClient;
  readonly breaker: Breaker;
  readonly clock: Clock;
  readonly random: Random;
  /** Of a call with all its tries. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const TRIES = 3;
const BETWEEN_TRIES = { baseMs: 100, capMs: 1_000 };
/** Away: nobody is served. Anything else is an answer to what was asked. */
const AWAY: ReadonlySet<string> = new Set(["VAULT_UNREACHABLE", "VAULT_SEALED", "VAULT_AWAY", "VAULT_SLOW"]);
/** A connection that broke or a node that is just taking over; a seal is opened by a person. */
const WORTH_ANOTHER_TRY: ReadonlySet<string> = new Set(["VAULT_UNREACHABLE", "VAULT_AWAY"]);

export function createCaller(options: CallerOptions): Caller {
  const { client, breaker, clock, random, timeoutMs, signal } = options;
  return async (request, token) => {
    breaker.admit();
    const ended = new AbortController();
    const late = new AbortController();
    void clock.sleep(timeoutMs, ended.signal).then(
      () => late.abort(slow(client.address, timeoutMs)),
      () => {},
    );
    try {
      const answer = await tryAgain(AbortSignal.any([late.signal, signal]));
      breaker.succeeded();
      return answer;
    } catch (error) {
      if (error instanceof SpanwireError) note(error);
      throw error;
    } finally {
      ended.abort();
    }

    async function tryAgain(until: AbortSignal): Promise<VaultResponse> {
      for (let attempt = 1; ; attempt++) {
        try {
          return await client.send(request, token, until);
        } catch (error) {
          const mayHelp = error instanceof SpanwireError && WORTH_ANOTHER_TRY.has(error.reason);
          if (!mayHelp || attempt === TRIES) throw error;
          await clock.sleep(fullJitterMs(BETWEEN_TRIES, attempt, random), until);
        }
      }
    }
  };

  function note(error: SpanwireError): void {
    if (isAway(error)) breaker.failed(error);
    else breaker.succeeded();
  }
}

/** Whether nobody is served, whatever is asked. */
export function isAway({ reason }: SpanwireError): boolean {
  return AWAY.has(reason);
}

function slow(address: string, timeoutMs: number): SpanwireError {
  const message = `secret store at ${address}: no answer within ${timeoutMs} ms`;
  return new SpanwireError("unavailable", message, { reason: "VAULT_SLOW" });
}
