/** @module Where in the history of the map a reader stands. */

/** `sequence` is the stream sequence; `lineage` grows when the store is made anew and its sequence starts over. */
export interface Position {
  readonly lineage: bigint;
  readonly sequence: bigint;
}

/** Before anything was read. */
export const NOWHERE: Position = { lineage: 0n, sequence: 0n };

/** Negative when `a` is before `b`, zero when they are the same. */
export function comparePositions(a: Position, b: Position): number {
  if (a.lineage !== b.lineage) return a.lineage < b.lineage ? -1 : 1;
  if (a.sequence !== b.sequence) return a.sequence < b.sequence ? -1 : 1;
  return 0;
}

/** "3/1042": lineage and sequence, as logs and conditions show it. */
export function formatPosition({ lineage, sequence }: Position): string {
  return `${lineage}/${sequence}`;
}
