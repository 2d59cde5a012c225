/** @module What could not be done because of the secret store: callers are told to come again, operators what waits. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import { refusal } from "../../refusal.ts";
import { isAway } from "./caller.ts";

export interface Waiting {
  /** "certificates for gateways". */
  readonly purpose: string;
  readonly sinceMs: number;
  /** How often it was asked for in vain. */
  readonly times: number;
  readonly error: SpanwireError;
}

export interface WaitingList {
  /** By purpose. */
  list(): readonly Waiting[];
  /** Forgets what waited for the end of an outage: whoever still wants it comes again. */
  outageEnded(): void;
  /** Does the work; throws `SIGNER_AWAY` (retryable), which names nothing of the inside, where the store's answer keeps it from it. */
  attempt<T>(purpose: string, work: () => Promise<T>): Promise<T>;
}

export function createWaitingList({ clock, log }: { readonly clock: Clock; readonly log: Logger }): WaitingList {
  const entries = new Map<string, Waiting>();
  return {
    list: () => [...entries.values()].sort((a, b) => (a.purpose < b.purpose ? -1 : 1)),
    outageEnded() {
      for (const { purpose, error } of entries.values()) if (isAway(error)) entries.delete(purpose);
    },
    async attempt(purpose, work) {
      try {
        const done = await work();
        entries.delete(purpose);
        return done;
      } catch (error) {
        if (!(error instanceof SpanwireError)) throw error;
        const former = entries.get(purpose);
        if (former === undefined) log.warn({ err: error, purpose }, "a signature has to wait");
        entries.set(purpose, {
          purpose,
          sinceMs: former?.sinceMs ?? clock.now(),
          times: (former?.times ?? 0) + 1,
          error,
        });
        const message =
          "the hub cannot have this signed now: try again later; its operators see why in spanwire status";
        throw Object.assign(refusal("SIGNER_AWAY", message), { cause: error });
      }
    },
  };
}
