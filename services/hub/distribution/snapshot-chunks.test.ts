import { fromBinary } from "@bufbuild/protobuf";
import { SnapshotChunkSchema } from "@spanwire/proto/agent";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { MapSnapshot } from "../state/map-snapshot.ts";
import { snapshotChunks } from "./snapshot-chunks.ts";

const LIMIT = 512 * 1024;

test("the parts together are the snapshot, in its order, and each is small enough", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 65_536 }), { maxLength: 40 }), (sizes) => {
      const entries = sizes.map((size, index) => ({
        key: `cluster.c${index}`,
        bytes: new Uint8Array(size).fill(index),
      }));
      const snapshot = snapshotOf(entries);
      const messages = snapshotChunks(snapshot);
      expect(messages.every(({ length }) => length < LIMIT)).toBe(true);
      const chunks = messages.map((message) => fromBinary(SnapshotChunkSchema, message));
      expect(chunks.map(({ index, count }) => [index, count])).toEqual(chunks.map((_, at) => [at, chunks.length]));
      const together = chunks.flatMap((chunk) => chunk.entries);
      expect(together.map(({ key, record }) => [key, record.length])).toEqual(
        entries.map(({ key, bytes }) => [key, bytes.length]),
      );
    }),
    { numRuns: 30 },
  );
});

test("one snapshot is encoded once", () => {
  const snapshot = snapshotOf([{ key: "mesh", bytes: new Uint8Array(3) }]);
  expect(snapshotChunks(snapshot)).toBe(snapshotChunks(snapshot));
});

test("a map without records is one part, with the position and the digest", () => {
  const [message, ...more] = snapshotChunks(snapshotOf([]));
  const chunk = fromBinary(SnapshotChunkSchema, message ?? new Uint8Array());
  expect(chunk).toMatchObject({ lineage: 7n, sequence: 42n, index: 0, count: 1, entries: [] });
  expect(chunk.digest).toEqual(new Uint8Array(32).fill(9));
  expect(more).toEqual([]);
});

function snapshotOf(entries: MapSnapshot["entries"]): MapSnapshot {
  return { lineage: 7n, sequence: 42, digest: new Uint8Array(32).fill(9), entries };
}
