import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AcknowledgementSchema } from "@spanwire/proto/record";
import { expect, test } from "vitest";
import {
  absentSinceMs,
  type EndedRecord,
  NOTHING_HEARD,
  SILENCE_MS,
  unreachableSinceMs,
  withAcknowledgement,
} from "./gateway-report.ts";

const NOW = 1_800_000_000_000;
const ended: EndedRecord = { key: "gateway.us.0", incarnation: 2n, generation: 9n, lineage: 5n, sequence: 40n };

interface Said {
  readonly sequence?: bigint;
  readonly generation?: bigint;
  readonly incarnation?: bigint;
  readonly lineage?: bigint;
  readonly absentAt?: number;
  readonly failures?: string[];
}

function acknowledged(said: Said) {
  const { sequence = 1n, generation = 1n, incarnation = 3n, lineage = 5n, absentAt, failures = [] } = said;
  const { key, incarnation: endedIncarnation, generation: endedGeneration } = ended;
  const tombstone = { key, incarnation: endedIncarnation, generation: endedGeneration };
  const acknowledgement = create(AcknowledgementSchema, {
    lineage,
    sequence,
    failures,
    appliedAt: timestampFromMs(NOW),
    tombstones: absentAt === undefined ? [] : [{ ...tombstone, absentAt: timestampFromMs(absentAt) }],
  });
  return { order: { incarnation, generation }, acknowledgement };
}

test.each([
  { name: "nothing yet", acks: [], want: undefined },
  { name: "the map before it", acks: [acknowledged({ sequence: 39n })], want: undefined },
  { name: "the map up to it", acks: [acknowledged({ sequence: 40n })], want: NOW },
  { name: "the map, in part", acks: [acknowledged({ sequence: 40n, failures: ["peer"] })], want: undefined },
  { name: "a map of another lineage", acks: [acknowledged({ sequence: 99n, lineage: 4n })], want: undefined },
  { name: "the tombstone by name", acks: [acknowledged({ absentAt: NOW - 7 })], want: NOW - 7 },
  {
    name: "it before, and something else since",
    acks: [acknowledged({ absentAt: NOW - 7 }), acknowledged({ generation: 2n })],
    want: NOW - 7,
  },
  {
    name: "it in an older report that came late",
    acks: [acknowledged({ generation: 2n }), acknowledged({ absentAt: NOW - 7 })],
    want: undefined,
  },
  {
    name: "it as another incarnation of the gateway",
    acks: [acknowledged({ absentAt: NOW - 7 }), acknowledged({ incarnation: 4n })],
    want: undefined,
  },
])("who acknowledged $name: absent at $want", ({ acks, want }) => {
  const report = acks.reduce(withAcknowledgement, NOTHING_HEARD);
  expect(absentSinceMs(report, acks.at(-1)?.order.incarnation ?? 3n, ended)).toBe(want);
});

test("an acknowledgement of a former incarnation says nothing of the present one", () => {
  const report = withAcknowledgement(NOTHING_HEARD, acknowledged({ sequence: 99n }));
  expect(absentSinceMs(report, 4n, ended)).toBeUndefined();
});

test.each([
  { name: "was heard just now", report: { heardAtMs: NOW }, want: undefined },
  { name: "has been silent for as long as allowed", report: { heardAtMs: NOW - SILENCE_MS }, want: undefined },
  { name: "has been silent longer", report: { heardAtMs: NOW - SILENCE_MS - 1 }, want: NOW - SILENCE_MS - 1 },
  { name: "has lost its connection", report: { heardAtMs: NOW - 9 }, goneAtMs: NOW - 1, want: NOW - 1 },
  { name: "is back", report: { heardAtMs: NOW }, goneAtMs: NOW - 1, want: undefined },
  { name: "never spoke, and could not have", report: {}, sinceMs: NOW - SILENCE_MS, want: undefined },
  { name: "never spoke", report: {}, sinceMs: NOW - SILENCE_MS - 1, want: NOW - SILENCE_MS - 1 },
])("a gateway that $name: unreachable since $want", ({ report, sinceMs = 0, goneAtMs, want }) => {
  expect(unreachableSinceMs({ ...NOTHING_HEARD, ...report }, { nowMs: NOW, sinceMs, goneAtMs })).toBe(want);
});
