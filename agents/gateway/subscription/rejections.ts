/** @module What was rejected lately, so that an operator sees it: the newest evidence for each key and reason. */
import type { Rejection } from "./offer-all.ts";

export interface RecentRejection extends Rejection {
  readonly atMs: number;
  readonly count: number;
}

export interface Rejections {
  /** Tells whether it is the first of its kind, and so worth a line in the log. */
  note(rejection: Rejection, nowMs: number): boolean;
  /** Those of the last ten minutes, newest last. */
  recent(nowMs: number): readonly RecentRejection[];
}

const REMEMBERED_MS = 600_000;
/** Whoever sends forged records chooses how many and under which keys. */
const MAX_REMEMBERED = 64;

export function createRejections(): Rejections {
  const byName = new Map<string, RecentRejection>();
  return {
    note(rejection, atMs) {
      const name = `${rejection.key} ${rejection.reason}`;
      const count = (byName.get(name)?.count ?? 0) + 1;
      byName.delete(name); // to the end: a Map iterates in the order of insertion
      byName.set(name, { ...rejection, atMs, count });
      if (byName.size > MAX_REMEMBERED) for (const oldest of byName.keys().take(1)) byName.delete(oldest);
      return count === 1;
    },
    recent: (nowMs) => [...byName.values()].filter(({ atMs }) => nowMs - atMs < REMEMBERED_MS),
  };
}
