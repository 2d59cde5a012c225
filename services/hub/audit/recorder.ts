/**
 * @module Takes what is to be written down, at once and without waiting, and writes it as soon as the log can be reached.
 *
 * What waits is bounded; what finds no room is counted, and the count is written as soon as there is.
 */
import type { Meter } from "@opentelemetry/api";
import { createCoalescer, type RefusalFacts } from "@spanwire/core/audit/coalesce";
import { type AuditFacts, LOG_ACTIONS } from "@spanwire/core/audit/entry";
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock, Random } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import { startLoop } from "@spanwire/runtime/loop/loop";
import { createCounter, createGauge } from "@spanwire/runtime/metrics/instruments";
import { peerName } from "../registration/peer-name.ts";
import type { HubCondition } from "../status/hub-condition.ts";
import type { AuditLog } from "./audit-log.ts";

export type Recorded = Omit<AuditFacts, "timeMs">;
/** Never waits and never throws. */
export type RecordEntry = (recorded: Recorded) => void;

export interface Recorder {
  readonly record: RecordEntry;
  /** Resolves when this entry is in the log; for what must not happen before. Rejects when the signal aborts first. */
  write(facts: AuditFacts, signal: AbortSignal): Promise<void>;
  /** What operators should know: that entries wait, or were dropped. */
  conditions(): readonly HubCondition[];
  /** Writes what waits, for at most a few seconds. Idempotent. */
  close(): Promise<void>;
}

export interface RecorderOptions {
  readonly log: AuditLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

interface Waiting {
  readonly facts: AuditFacts;
  readonly written?: () => void;
}

/** Some 20 MB at most. */
const MOST_WAITING = 10_000;
/** With the largest entries still less than a message of NATS may have. */
const BATCH = 16;
/** What happens within it is one block: each block is a write that the disk has to confirm. */
const GATHER_MS = 100;
const CLOSE_MS = 3_000;
const ALARM_MS = 10_000;

export function createRecorder(options: RecorderOptions): Recorder {
  const { log, clock, random, logger, meter } = options;
  const counter = createCounter(meter, {
    name: "spanwire_audit_entries",
    help: "Entries for the audit log, by what became of them",
    labels: ["outcome"],
  });
  const waiting: Waiting[] = [];
  const refusals = createCoalescer();
  let dropped = 0;
  let failure: { readonly sinceMs: number; readonly message: string } | undefined;
  const closing = new AbortController();

  createGauge(meter, { name: "spanwire_audit_waiting", help: "Entries that wait to be written", labels: [] }, () => [
    { labels: {}, value: waiting.length },
  ]);

  function add(facts: AuditFacts): void {
    if (waiting.length >= MOST_WAITING) {
      dropped += 1;
      counter.add({ outcome: "dropped" });
      return;
    }
    waiting.push({ facts });
    loop.wake();
  }

  /** Writes the oldest that wait; what comes meanwhile waits behind them. */
  async function writeBatch(signal: AbortSignal): Promise<void> {
    const batch = waiting.slice(0, BATCH);
    const facts = batch.map((each) => each.facts);
    const count = await log.append(facts, signal);
    for (const { written } of waiting.splice(0, count)) written?.();
    counter.add({ outcome: "written" }, count);
    failure = undefined;
    if (dropped === 0 || waiting.length + 1 >= MOST_WAITING) return;
    waiting.push({ facts: dropOf(dropped, clock.now()) });
    dropped = 0;
  }

  async function step(signal: AbortSignal): Promise<number | undefined> {
    for (const facts of refusals.due(clock.now())) add(facts);
    if (waiting.length > 0 && waiting.length < BATCH) await clock.sleep(GATHER_MS, signal).catch(() => {});
    while (waiting.length > 0 && !signal.aborted) {
      try {
        await writeBatch(signal);
      } catch (cause) {
        const message = cause instanceof Error ? cause.message : String(cause);
        failure ??= { sinceMs: clock.now(), message };
        throw new SpanwireError("unavailable", `write the audit log: ${message}`, { cause });
      }
    }
    const { nextMs } = refusals;
    return nextMs === undefined ? undefined : Math.max(0, nextMs - clock.now());
  }

  const loop = startLoop({
    clock,
    random,
    step,
    signal: closing.signal,
    onFailure: (err, _failure, retryInMs) => {
      logger.warn({ err, waiting: waiting.length, retryInMs }, "the audit log cannot be written");
    },
  });

  async function close(): Promise<void> {
    closing.abort();
    await loop.done;
    for (const facts of refusals.due(Number.POSITIVE_INFINITY)) add(facts);
    const patience = AbortSignal.timeout(CLOSE_MS);
    try {
      while (waiting.length > 0 && !patience.aborted) await writeBatch(patience);
      await log.remember();
    } catch (err) {
      logger.error({ err, waiting: waiting.length }, "the last entries of the audit log are not written");
    }
  }
  let closed: Promise<void> | undefined;

  return {
    record(recorded) {
      const facts = { timeMs: clock.now(), ...recorded };
      const all = isRefusal(facts) ? refusals.take(facts, peerName(facts.address ?? "")) : [facts];
      for (const each of all) add(each);
    },
    write(facts, signal) {
      return new Promise((resolve, reject) => {
        const onAbort = () => reject(signal.reason);
        signal.addEventListener("abort", onAbort, { once: true });
        const written = () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        };
        waiting.push({ facts, written });
        loop.wake();
      });
    },
    conditions() {
      const isLate = failure !== undefined && clock.now() - failure.sinceMs >= ALARM_MS;
      if (!isLate && dropped === 0) return [];
      const since =
        failure === undefined ? "" : ` since ${new Date(failure.sinceMs).toISOString()}: ${failure.message}`;
      const lost = dropped === 0 ? "" : `; ${dropped} more found no room and are not written`;
      const message = `${waiting.length} entries of the audit log wait to be written${since}${lost}`;
      return [{ type: "AuditLogBehind", subject: "audit", message }];
    },
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

function isRefusal(facts: AuditFacts): facts is RefusalFacts {
  return facts.refusal !== undefined;
}

function dropOf(count: number, timeMs: number): AuditFacts {
  const message = `${count} entries were not written, because too many waited while the log could not be reached`;
  return { timeMs, action: LOG_ACTIONS.drop, actor: { kind: "hub" }, count, message };
}
