/** @module How often somebody may ask: a token bucket for each name, in the form of one number each (GCRA, ITU-T I.371). */

export interface RateLimit {
  readonly perSecond: number;
  /** How many at once after a silence. */
  readonly burst: number;
}

export interface RateLimiter {
  /** Whether `name` may ask now; if so it has. */
  take(name: string, nowMs: number): boolean;
}

/** Bounds the memory that somebody with many names can take. */
const REMEMBERED_NAMES = 10_000;

export function createRateLimiter({ perSecond, burst }: RateLimit): RateLimiter {
  const intervalMs = 1_000 / perSecond;
  /** When each name's bucket is full again; the least recently used name first. */
  const fullAt = new Map<string, number>();
  return {
    take(name, nowMs) {
      const held = fullAt.get(name) ?? nowMs;
      const isClockSetBack = held - nowMs > burst * intervalMs;
      const next = (isClockSetBack ? nowMs : Math.max(held, nowMs)) + intervalMs;
      if (next - nowMs > burst * intervalMs) return false;
      fullAt.delete(name);
      fullAt.set(name, next);
      if (fullAt.size > REMEMBERED_NAMES) for (const oldest of fullAt.keys().take(1)) fullAt.delete(oldest);
      return true;
    },
  };
}
