import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Meter } from "@opentelemetry/api";
import { appliedKey } from "@spanwire/core/records/key";
import { sealRecord } from "@spanwire/core/records/seal";
import { MESH_ID } from "@spanwire/core/records/testing";
import { GatewayStatusSchema } from "@spanwire/proto/agent";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createGateway, type Gateway, startTestHub, type TestHub } from "../registration/testing.ts";
import { createFakeStateStore, type FakeStateStore } from "../state/fake-state-store.ts";
import { followReports, type ReportView } from "./report-view.ts";
import { createReportTaker } from "./take-reports.ts";

const EU = { clusterId: "eu", ordinal: 0 };

let store: FakeStateStore;
let hub: TestHub;
let gateway: Gateway;
let stop: AbortController;
let view: ReportView;
let recorded: { name: string; labels: unknown; value: number }[];
let take: ReturnType<typeof createReportTaker>;
beforeEach(async () => {
  store = createFakeStateStore();
  hub = await startTestHub(store);
  gateway = createGateway();
  stop = new AbortController();
  const { map } = hub;
  const log = createRecordingLog();
  view = followReports({
    status: store.status,
    records: map.records,
    clock: systemClock,
    random: () => 0,
    log,
    signal: stop.signal,
  });
  recorded = [];
  take = createReportTaker({ view, status: store.status, map, clock: systemClock, log, meter: recordingMeter() });
  await hub.register(gateway.register(await hub.token("eu"), { prefixes: ["10.1.0.0/16"] }));
});
afterEach(async () => {
  stop.abort();
  await view.done;
  await hub[Symbol.asyncDispose]();
});

function recordingMeter(): Meter {
  const instrument = (name: string) => {
    const keep = (value: number, labels: unknown) => recorded.push({ name, labels, value });
    return { add: keep, record: keep };
  };
  return { createHistogram: instrument, createCounter: instrument } as unknown as Meter;
}

async function acknowledge(generation: bigint, options: { sequence?: number; absent?: string; by?: Gateway } = {}) {
  const { sequence = hub.map.sequence, absent, by = gateway } = options;
  const order = hub.map.records.get(absent ?? "")?.order ?? { incarnation: 0n, generation: 0n };
  const tombstones = absent === undefined ? [] : [{ key: absent, ...order, absentAt: timestampFromMs(1) }];
  const value = { lineage: hub.map.lineage, sequence: BigInt(sequence), appliedAt: timestampFromMs(1), tombstones };
  const payload = { key: appliedKey("eu", 0), incarnation: 1n, generation };
  const body = { case: "acknowledgement", value } as const;
  const bytes = await sealRecord(MESH_ID, { ...payload, body }, { signer: by.signer, sha256 });
  take({ gateway: EU, kind: "applied", bytes });
}

const heardSequence = () => view.get(EU).acknowledged?.acknowledgement.sequence;
const measured = (change: string) =>
  recorded.filter(
    ({ name, labels }) => name.endsWith("propagation_seconds") && (labels as { change: string }).change === change,
  );

test("an acknowledgement reaches every replica; an older or a forged one changes nothing", async () => {
  await acknowledge(2n, { sequence: 3 });
  await expect.poll(heardSequence).toBe(3n);
  await acknowledge(1n, { sequence: 9 });
  await acknowledge(3n, { sequence: 9, by: createGateway() });
  await acknowledge(4n, { sequence: 4 });
  await expect.poll(heardSequence).toBe(4n);
  const outcomes = recorded.filter(({ name }) => name === "spanwire_reports").map(({ labels }) => labels);
  expect(outcomes).toContainEqual({ kind: "applied", outcome: "refused" });
});

test("a status is heard at once, also while the store is away", () => {
  store.goAway();
  const bytes = toBinary(GatewayStatusSchema, create(GatewayStatusSchema, { agentVersion: "1.2.3" }));
  take({ gateway: EU, kind: "status", bytes });
  expect(view.get(EU)).toMatchObject({ statusBytes: bytes, heardAtMs: expect.any(Number) });
});

test("what was acknowledged before the start is known, and is no sign of life", async () => {
  await acknowledge(1n, { sequence: 3 });
  await expect.poll(heardSequence).toBe(3n);
  const clock = { ...systemClock, now: () => Date.now() + 60_000 };
  const { status } = store;
  const log = createRecordingLog();
  const later = followReports({ status, records: hub.map.records, clock, random: () => 0, log, signal: stop.signal });
  await expect.poll(() => later.get(EU).acknowledged?.acknowledgement.sequence).toBe(3n);
  expect(later.get(EU).heardAtMs).toBeUndefined();
  stop.abort();
  await later.done;
});

test("goes on with what it knows while the store is away, and with what is new when it is back", async () => {
  await acknowledge(1n, { sequence: 3 });
  await expect.poll(heardSequence).toBe(3n);
  store.goAway();
  await acknowledge(2n, { sequence: 4 });
  expect(heardSequence()).toBe(3n);
  store.comeBack();
  await acknowledge(3n, { sequence: 5 });
  await expect.poll(heardSequence).toBe(5n);
});

test("measures how long a change took, from its write to the word of each gateway that waited for it", async () => {
  await acknowledge(1n);
  expect(measured("any")).toEqual([]);
  await hub.register(createGateway().register(await hub.token("us"), { prefixes: ["10.2.0.0/16"] }));
  await acknowledge(2n);
  await acknowledge(3n);
  expect(measured("any")).toHaveLength(1);
  await acknowledge(4n, { absent: "cluster.us" });
  expect(measured("ending")).toHaveLength(1);
  for (const { value } of recorded) expect(value).toBeGreaterThanOrEqual(0);
});
