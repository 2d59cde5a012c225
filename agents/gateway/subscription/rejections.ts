/** @module What was rejected lately, so that an operator sees it: the newest evidence for each key and reason. */
import { equalBytes } from "@spanwire/core/records/digest";
import type { OpenedRecord } from "@spanwire/core/records/open";
import type { Rejection } from "./offer-all.ts";

export interface RecentRejection extends Rejection {
  readonly atMs: number;
  readonly count: number;
}

export interface Rejections {
  /** Tells whether it is the first of its kind, and so worth a line in the log. */
  note(rejection: Rejection, nowMs: number): boolean;
  /**
   * Forgets what was rejected of a record that is accepted now, byte for byte: it had come before the admission that
   * says who may sign it, as after a gap it may, and is no evidence against anybody.
   */
  lift(record: Pick<OpenedRecord, "key" | "bytes">): void;
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
    lift({ key, bytes }) {
      for (const [name, held] of byName) if (held.key === key && equalBytes(held.bytes, bytes)) byName.delete(name);
    },
    recent: (nowMs) => [...byName.values()].filter(({ atMs }) => nowMs - atMs < REMEMBERED_MS),
  };
}
