import { expect, test } from "vitest";
import { refused } from "../distribution/store-record.ts";
import { createAuditedRecords } from "./audited-records.ts";
import type { Recorded } from "./recorder.ts";

const EU = { clusterId: "eu", ordinal: 0 };
const actor = { kind: "gateway", name: "eu/0" };

function open() {
  const recorded: Recorded[] = [];
  return { recorded, records: createAuditedRecords((each) => recorded.push(each)) };
}

test.each([
  { reason: "FORK", written: 1 },
  { reason: "RATE_LIMITED", written: 1 },
  { reason: "BUSY", written: 0 },
  { reason: "NOT_READY", written: 0 },
  { reason: "STORE_AWAY", written: 0 },
])("a record refused for $reason: $written entries", ({ reason, written }) => {
  const { recorded, records } = open();
  records.onAnswered(EU, refused(reason, "x"));
  expect(recorded).toEqual(
    Array.from({ length: written }, () => ({ action: "statement.store", actor, refusal: reason, message: "x" })),
  );
});

test.each([
  {
    subject: "sw.v1.up.eu.0.snapshot",
    reason: "FOREIGN_REPLY",
    want: [{ action: "snapshot", actor, refusal: "FOREIGN_REPLY" }],
  },
  {
    subject: "sw.v1.up.x",
    reason: "UNKNOWN_SUBJECT",
    want: [{ actor: { kind: "nobody" }, refusal: "UNKNOWN_SUBJECT" }],
  },
  { subject: "sw.v1.up.eu.0.snapshot", reason: "NOT_CURRENT", want: [] },
  { subject: "sw.v1.up.eu.0.status", reason: "FAILED", want: [] },
] as const)("a message to $subject that was dropped for $reason: $want", ({ subject, reason, want }) => {
  const { recorded, records } = open();
  records.onDropped({ subject, reason });
  expect(recorded).toMatchObject(want);
});

test.each([
  {
    incident: { kind: "lineage", from: 1n, to: 2n } as const,
    want: { action: "map.lineage", before: "1", after: "2" },
  },
  {
    incident: { kind: "lost", keys: ["cluster.eu"] } as const,
    want: { action: "map.restore", before: '["cluster.eu"]' },
  },
  {
    incident: { kind: "refused", key: "cluster.eu", reason: "FORK", message: "two" } as const,
    want: { action: "map.refuse", target: "cluster.eu", refusal: "FORK" },
  },
])("what happens to the store is written down: $want.action", ({ incident, want }) => {
  const { recorded, records } = open();
  records.onIncident(incident);
  expect(recorded).toMatchObject([{ ...want, actor: { kind: "hub" } }]);
});
