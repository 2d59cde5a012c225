/** @module When the latest writes of the map became known to this hub: what propagation is measured from. */

const REMEMBERED = 4096;

export interface CommitTimes {
  /** Notes that everything up to `sequence` is in the map now. */
  note(sequence: number, nowMs: number): void;
  /** The times of the writes after `after`, up to and with `upTo`, that are still remembered. */
  between(after: number, upTo: number): readonly number[];
}

export function createCommitTimes(): CommitTimes {
  const times = new Map<number, number>();
  let last: number | undefined;
  return {
    note(sequence, nowMs) {
      // What was there before the first look was not committed now; nor was the whole of a store that was read anew.
      const first = Math.max((last ?? sequence) + 1, sequence - REMEMBERED + 1);
      for (let each = first; each <= sequence; each++) times.set(each, nowMs);
      last = sequence;
      for (const oldest of times.keys().take(Math.max(0, times.size - REMEMBERED))) times.delete(oldest);
    },
    between(after, upTo) {
      const found: number[] = [];
      for (let each = Math.max(after + 1, upTo - REMEMBERED + 1); each <= upTo; each++) {
        const time = times.get(each);
        if (time !== undefined) found.push(time);
      }
      return found;
    },
  };
}
