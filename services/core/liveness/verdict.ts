/** @module What may be relied on of a gateway. Pure. */
import { type HoldDown, holdMs } from "./hold-down.ts";

/** unknown: it had no time to answer yet. held: it fell, and is seen up again, not for long enough yet. */
export type Verdict = "unknown" | "up" | "held" | "down";

/** After a start nobody is given up before it could have answered: a restart of ours moves no traffic. */
const UNKNOWN_MS = 3_000;

/** `probedSinceMs`: when our first probe to it went. */
export function judge(hold: HoldDown, probedSinceMs: number | undefined, nowMs: number): Verdict {
  if (hold.isUp) return "up";
  if (hold.falls > 0) return hold.seenUpSinceMs === undefined ? "down" : "held";
  return probedSinceMs === undefined || nowMs < probedSinceMs + UNKNOWN_MS ? "unknown" : "down";
}

/** When the verdict may be another although nothing happens; Infinity if never. */
export function judgeAgainAtMs(hold: HoldDown, probedSinceMs: number | undefined, nowMs: number): number {
  if (hold.isUp) return NEVER;
  if (hold.seenUpSinceMs !== undefined) return hold.seenUpSinceMs + holdMs(hold);
  return judge(hold, probedSinceMs, nowMs) === "unknown" ? (probedSinceMs ?? NEVER) + UNKNOWN_MS : NEVER;
}

const NEVER = Number.POSITIVE_INFINITY;
