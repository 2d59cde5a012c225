/** @module When keys rotate by themselves. Time is passed in; croner does the arithmetic of cron expressions and time zones. */
import { SpanwireError } from "@spanwire/core/errors";
import { Cron } from "croner";

export interface Schedule {
  /** Every so many days after the last rotation, or at the times of a cron expression ("0 3 * * 0"). */
  readonly at: { readonly everyDays: number } | { readonly cron: string };
  /** IANA name, of all cron expressions here. */
  readonly timeZone: string;
  /** Windows in which none is begun, each from the times of its expression on: what is due then comes after it. */
  readonly blackouts: readonly { readonly cron: string; readonly hours: number }[];
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** When the rotation after that of `lastMs` is due, blackouts aside; Infinity if never. */
export function dueAtMs({ at, timeZone }: Schedule, lastMs: number): number {
  return "everyDays" in at ? lastMs + at.everyDays * DAY_MS : nextRunMs(at.cron, timeZone, lastMs);
}

export function isBlackedOut({ blackouts, timeZone }: Schedule, nowMs: number): boolean {
  return blackouts.some(({ cron, hours }) => nextRunMs(cron, timeZone, nowMs - hours * HOUR_MS) <= nowMs);
}

/** Throws `invalid` for an expression that is none, or that never comes. */
export function checkCron(cron: string): void {
  let nextMs: number;
  try {
    nextMs = nextRunMs(cron, "UTC", 0);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SpanwireError("invalid", `cron expression "${cron}": ${why}`, { cause });
  }
  if (nextMs === Number.POSITIVE_INFINITY) throw new SpanwireError("invalid", `cron expression "${cron}": never comes`);
}

export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** The first one after `afterMs`. */
function nextRunMs(cron: string, timeZone: string, afterMs: number): number {
  const next = new Cron(cron, { timezone: timeZone, paused: true }).nextRun(new Date(afterMs));
  return next?.getTime() ?? Number.POSITIVE_INFINITY;
}
