/** @module A snapshot cut into messages, encoded once however many agents ask for it. */
import { create, toBinary } from "@bufbuild/protobuf";
import { type SnapshotChunk, SnapshotChunkSchema } from "@spanwire/proto/agent";
import type { MapSnapshot, SnapshotRecord } from "../state/map-snapshot.ts";

/** Well below the 1 MiB that nats-server takes by default. */
const CHUNK_BYTES = 512 * 1024;
/** Key, lengths and tags of an entry, at most. */
const ENTRY_OVERHEAD_BYTES = 192;
/** Everything of a chunk but its entries, at most. */
const FRAME_BYTES = 256;

const encoded = new WeakMap<MapSnapshot, readonly Uint8Array[]>();

/** The messages that answer one request: at least one, each under 512 KiB, in the snapshot's order. */
export function snapshotChunks(snapshot: MapSnapshot): readonly Uint8Array[] {
  const known = encoded.get(snapshot);
  if (known !== undefined) return known;
  const parts = cut(snapshot.entries);
  const messages = parts.map((entries, index) => encodeChunk(snapshot, { entries, index, count: parts.length }));
  encoded.set(snapshot, messages);
  return messages;
}

type Part = Pick<SnapshotChunk, "index" | "count"> & { readonly entries: readonly SnapshotRecord[] };

function encodeChunk({ lineage, sequence, digest }: MapSnapshot, { entries, index, count }: Part): Uint8Array {
  const records = entries.map(({ key, bytes }) => ({ key, record: bytes }));
  const chunk = { lineage, sequence: BigInt(sequence), digest, index, count, entries: records };
  return toBinary(SnapshotChunkSchema, create(SnapshotChunkSchema, chunk));
}

function cut(entries: readonly SnapshotRecord[]): readonly (readonly SnapshotRecord[])[] {
  const parts: SnapshotRecord[][] = [[]];
  let room = CHUNK_BYTES - FRAME_BYTES;
  for (const entry of entries) {
    const size = entry.bytes.length + ENTRY_OVERHEAD_BYTES;
    if (size > room && parts.at(-1)?.length !== 0) {
      parts.push([]);
      room = CHUNK_BYTES - FRAME_BYTES;
    }
    parts.at(-1)?.push(entry);
    room -= size;
  }
  return parts;
}
