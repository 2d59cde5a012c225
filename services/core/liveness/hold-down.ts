/** @module How long a gateway that came back must stay up before it counts again: longer for one that flaps. Pure. */

export interface HoldDown {
  /** Up as far as others may rely on it. */
  readonly isUp: boolean;
  /** Since when it has been seen up without a break. */
  readonly seenUpSinceMs: number | undefined;
  /** How often it went down of late; forgiven one by one. */
  readonly falls: number;
  readonly fellAtMs: number | undefined;
}

const HOLD_MS = 2_000;
const MAX_HOLD_MS = 300_000;
/** One fall is forgiven after each such time without another. */
const FORGIVE_MS = 60_000;

/** Nobody is waited for at first: what comes up for the first time counts at once. */
export const FRESH: HoldDown = { isUp: false, seenUpSinceMs: undefined, falls: 0, fellAtMs: undefined };

/** The state after seeing it up or down at `nowMs`. Down counts at once. */
export function see(former: HoldDown, seenUp: boolean, nowMs: number): HoldDown {
  if (!seenUp) {
    if (!former.isUp) return former.seenUpSinceMs === undefined ? former : { ...former, seenUpSinceMs: undefined };
    return { isUp: false, seenUpSinceMs: undefined, falls: fallsLeft(former, nowMs) + 1, fellAtMs: nowMs };
  }
  if (former.isUp) return former;
  const seenUpSinceMs = former.seenUpSinceMs ?? nowMs;
  return { ...former, seenUpSinceMs, isUp: nowMs - seenUpSinceMs >= holdMs(former) };
}

/** 0 before the first fall, then 2 s, doubled with each fall of late, up to 5 min. */
export function holdMs({ falls }: HoldDown): number {
  return falls === 0 ? 0 : Math.min(MAX_HOLD_MS, HOLD_MS * 2 ** (falls - 1));
}

function fallsLeft({ falls, fellAtMs }: HoldDown, nowMs: number): number {
  const forgiven = fellAtMs === undefined ? 0 : Math.floor((nowMs - fellAtMs) / FORGIVE_MS);
  return Math.max(0, falls - forgiven);
}
