/** @module Puts the parts of one snapshot together. */
import { equalBytes } from "@spanwire/core/records/digest";
import type { SnapshotChunk, SnapshotEntry } from "@spanwire/proto/agent";
import type { Position } from "./position.ts";

export interface Snapshot {
  readonly position: Position;
  /** What the sender says of its copy; nothing vouches for it. */
  readonly digest: Uint8Array;
  readonly entries: readonly SnapshotEntry[];
}

export interface SnapshotAssembly {
  /** Takes one part; gives the snapshot once it is whole. A part of another copy or out of range is ignored. */
  add(chunk: SnapshotChunk): Snapshot | undefined;
}

/** A map of 65,536 records of 4 KiB each, in parts of 512 KiB, has 512 of them. */
const MAX_CHUNKS = 4_096;

export function createSnapshotAssembly(): SnapshotAssembly {
  let first: SnapshotChunk | undefined;
  const parts = new Map<number, readonly SnapshotEntry[]>();
  return {
    add(chunk) {
      if (!isPartOf(first ?? chunk, chunk)) return undefined;
      first ??= chunk;
      parts.set(chunk.index, chunk.entries);
      if (parts.size < first.count) return undefined;
      const { lineage, sequence, digest } = first;
      const entries = [...parts].sort(([a], [b]) => a - b).flatMap(([, part]) => part);
      return { position: { lineage, sequence }, digest, entries };
    },
  };
}

function isPartOf(first: SnapshotChunk, { lineage, sequence, index, count, digest }: SnapshotChunk): boolean {
  return (
    lineage === first.lineage &&
    sequence === first.sequence &&
    count === first.count &&
    count <= MAX_CHUNKS &&
    index < count &&
    equalBytes(digest, first.digest)
  );
}
