/**
 * @module One hub of several leads: the holder of a lease in the registry that it renews every second.
 *
 * Nobody compares clocks of two machines: the others take the lease when its revision has not moved for `TAKE_OVER_MS` of
 * their own time, and the holder gives up before that. A hub that was stopped in between may still believe that it leads
 * for a moment: every write of a leader is therefore compare-and-set on what it read after taking the lease.
 */
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock } from "@spanwire/core/time";
import type { Entry, RegistryBucket } from "./port.ts";

export interface LeadershipOptions {
  readonly registry: RegistryBucket;
  /** Who we are, as `status` shows it: unique for each process. */
  readonly holder: string;
  readonly clock: Clock;
  /** Runs while we lead; the signal aborts when we no longer do. What it throws ends `done`. */
  readonly lead: (signal: AbortSignal) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
  readonly signal: AbortSignal;
}

export interface Leadership {
  readonly isLeader: boolean;
  /** Resolves when the signal has aborted, `lead` has ended and the lease is given back. */
  readonly done: Promise<void>;
}

export const LEASE_KEY = "leader";
const RENEW_MS = 1_000;
const GIVE_UP_MS = 2_500;
const WATCH_MS = 500;
/** From the last renewal to the next leader: at most this and two looks, which is 4 s. */
const TAKE_OVER_MS = 3_000;

export function startLeadership(options: LeadershipOptions): Leadership {
  const state = { isLeader: false };
  const done = run(options, (isLeader) => {
    state.isLeader = isLeader;
  });
  return {
    get isLeader() {
      return state.isLeader;
    },
    done,
  };
}

/** Who holds the lease now, whether or not it still lives. */
export async function readLeader(registry: RegistryBucket): Promise<string | undefined> {
  const entry = await registry.get(LEASE_KEY);
  return entry === undefined ? undefined : new TextDecoder().decode(entry.bytes);
}

async function run(options: LeadershipOptions, setLeader: (isLeader: boolean) => void): Promise<void> {
  const { signal } = options;
  while (!signal.aborted) {
    const revision = await acquire(options);
    if (revision === undefined) return;
    try {
      setLeader(true);
      await hold(options, revision, () => setLeader(false));
    } finally {
      setLeader(false);
    }
  }
}

/** Waits until the lease is free or dead, and takes it; undefined when the signal aborted. */
async function acquire(options: LeadershipOptions): Promise<number | undefined> {
  const { registry, holder, clock, signal } = options;
  const bytes = new TextEncoder().encode(holder);
  let seen: Entry | undefined;
  let stillMs = 0;
  while (!signal.aborted) {
    const entry = await attempt(options, () => registry.get(LEASE_KEY));
    if (entry.ok) {
      stillMs = entry.value?.revision === seen?.revision ? stillMs + WATCH_MS : 0;
      seen = entry.value;
      const expectedRevision = seen?.revision;
      if (expectedRevision === undefined || stillMs >= TAKE_OVER_MS) {
        const written = await attempt(options, () =>
          expectedRevision === undefined
            ? registry.create(LEASE_KEY, bytes)
            : registry.update(LEASE_KEY, bytes, { expectedRevision }),
        );
        if (written.ok && written.value.ok) return written.value.revision;
      }
    }
    await clock.sleep(WATCH_MS, signal).catch(() => {});
  }
  return undefined;
}

/** Leads until the lease is lost, cannot be renewed in time, or the signal aborts. */
async function hold(options: LeadershipOptions, taken: number, onLost: () => void): Promise<void> {
  const { registry, holder, clock, lead, signal } = options;
  const bytes = new TextEncoder().encode(holder);
  const term = new AbortController();
  const end = () => {
    onLost();
    term.abort(new SpanwireError("conflict", "lead the hubs: the lease is lost", { reason: "NOT_LEADER" }));
  };
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  const working = lead(term.signal).finally(end);
  working.catch(() => {}); // thrown where it is awaited, which may be after a renewal that is under way
  let revision = taken;
  let expiry = startExpiry(clock, end);
  while (!term.signal.aborted) {
    await clock.sleep(RENEW_MS, term.signal).catch(() => {});
    if (term.signal.aborted) break;
    const renewedFrom = startExpiry(clock, end); // counted from before the write: others count from when it was stored
    const renewed = await attempt(options, () => registry.update(LEASE_KEY, bytes, { expectedRevision: revision }));
    if (renewed.ok && renewed.value.ok) {
      expiry.abort();
      expiry = renewedFrom;
      revision = renewed.value.revision;
    } else {
      renewedFrom.abort();
      if (renewed.ok) end();
    }
  }
  expiry.abort();
  signal.removeEventListener("abort", end);
  await working;
  if (signal.aborted) await attempt(options, () => registry.delete(LEASE_KEY, { expectedRevision: revision }));
}

function startExpiry(clock: Clock, end: () => void): AbortController {
  const cancelled = new AbortController();
  clock.sleep(GIVE_UP_MS, cancelled.signal).then(end, () => {});
  return cancelled;
}

type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false };

async function attempt<T>({ onFailure }: LeadershipOptions, call: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { ok: true, value: await call() };
  } catch (error) {
    if (!(error instanceof SpanwireError && error.retryable)) throw error;
    onFailure(error);
    return { ok: false };
  }
}
