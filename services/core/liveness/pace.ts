/** @module How often probes go on a lane: as often as either end wants it. Pure. */
import { isHeard, type LaneState, SHORTEST_MS } from "./lane.ts";
import type { Probe } from "./probe.ts";

/** What a gateway is to us now. */
export interface Use {
  /** Whether another gateway of its cluster could take its traffic. */
  readonly hasAlternative: boolean;
  readonly hasTraffic: boolean;
  /** Whether an epoch is open and the pair of it and us is not done. */
  readonly isRotating: boolean;
}

const FAST_MS = SHORTEST_MS;
const ROTATING_MS = 1_000;
const IDLE_MS = 5_000;
/** To one that is not heard: it is in no hurry, for whatever could go elsewhere has gone. */
const UNHEARD_MS = 1_000;

/** How often we want to hear from it: fast only where a failover is possible and would be noticed. */
export function wishedMs({ hasAlternative, hasTraffic, isRotating }: Use): number {
  if (hasAlternative && hasTraffic) return FAST_MS;
  return isRotating ? ROTATING_MS : IDLE_MS;
}

/**
 * What we do and ask for. Following what the other asks is not asking: else two ends would keep each other fast after
 * both have lost their reason to be.
 */
export function paceOf(lane: LaneState, ourWishMs: number, nowMs: number): Pick<Probe, "intervalMs" | "asks"> {
  if (!isHeard(lane, nowMs)) return { intervalMs: UNHEARD_MS, asks: true };
  const { asks, intervalMs } = lane.heard?.probe ?? SILENT;
  const askedMs = asks ? Math.max(SHORTEST_MS, intervalMs) : Number.POSITIVE_INFINITY;
  return { intervalMs: Math.min(ourWishMs, askedMs), asks: ourWishMs <= askedMs };
}

const SILENT = { asks: false, intervalMs: 0 };
