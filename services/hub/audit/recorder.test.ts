import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { createMetrics } from "@spanwire/runtime/metrics/create-metrics";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeStateStore } from "../state/fake-state-store.ts";
import type { AuditLog } from "./audit-log.ts";
import { createFakeAuditStore, type FakeAuditStore } from "./fake-audit-store.ts";
import { createRecorder, type Recorder } from "./recorder.ts";
import { inspect, openTestLog } from "./testing.ts";

const MINUTE_MS = 60_000;

let clock: FakeClock;
let store: FakeAuditStore;
let log: AuditLog;
let recorder: Recorder;
beforeEach(async () => {
  clock = new FakeClock(Date.parse("2026-11-21T12:00:00Z"));
  store = createFakeAuditStore();
  log = await openTestLog({ store, registry: createFakeStateStore().registry, clock });
  const { meter } = await createMetrics({ enabled: false });
  recorder = createRecorder({ log, clock, random: () => 0.5, logger: createRecordingLog(), meter });
});
afterEach(() => recorder.close());

const done = { action: "token.create", actor: { kind: "operator", name: "alice", role: "operator" } } as const;
const refused = {
  action: "Register",
  actor: { kind: "nobody" },
  refusal: "TOKEN_UNKNOWN",
  address: "192.0.2.1:1",
} as const;

async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) await clock.advance(Math.min(1_000, left));
}
const written = async () => (await inspect({ store, log })).entries;

test("what happens within a moment is one block, in its order, and waits for nobody", async () => {
  for (let n = 0; n < 10; n++) recorder.record({ ...done, target: `token.${n}` });
  expect(store.blocks).toEqual([]);
  await pass(1_000);
  expect(store.blocks).toHaveLength(1);
  expect((await written()).map(({ target }) => target)).toEqual(Array.from({ length: 10 }, (_, n) => `token.${n}`));
  expect(recorder.conditions()).toEqual([]);
});

test("a flood of one refusal is two entries a minute, the second with its count", async () => {
  for (let n = 0; n < 5_000; n++) recorder.record({ ...refused, address: `192.0.2.1:${n}` });
  await pass(2 * MINUTE_MS);
  expect(await written()).toMatchObject([{ count: 1 }, { count: 4_999, refusal: "TOKEN_UNKNOWN" }]);
});

test("a flood of refusals from everywhere does not fill the disk", async () => {
  for (let minute = 0; minute < 5; minute++) {
    for (let n = 0; n < 5_000; n++) recorder.record({ ...refused, address: `10.${minute}.${n >> 8}.${n & 255}:1` });
    await pass(MINUTE_MS);
  }
  await recorder.close();
  const entries = await written();
  expect(entries.length).toBeLessThanOrEqual(5 * 31);
  expect(entries.reduce((sum, { count }) => sum + count, 0)).toBe(25_000);
});

test("while the store is away entries wait, operators are told, and then they are written", async () => {
  store.goAway();
  recorder.record({ ...done, target: "token.a" });
  await pass(20_000);
  expect(recorder.conditions()).toMatchObject([
    {
      type: "AuditLogBehind",
      message: expect.stringMatching(/^1 entries of the audit log wait .* since 2026-.*is away/),
    },
  ]);
  store.comeBack();
  await pass(MINUTE_MS);
  expect(await written()).toMatchObject([{ target: "token.a" }]);
  expect(recorder.conditions()).toEqual([]);
});

test("what finds no room while the store is away is counted, and the count is written", async () => {
  store.goAway();
  for (let n = 0; n < 10_007; n++) recorder.record({ ...done, target: `token.${n}` });
  await pass(1_000);
  expect(recorder.conditions()).toMatchObject([{ message: expect.stringContaining("7 more found no room") }]);
  store.comeBack();
  await pass(2 * MINUTE_MS);
  const { notes, problems, entries } = await inspect({ store, log });
  expect({ problems, notes }).toEqual({ problems: [], notes: [expect.stringMatching(/7 entries were not written/)] });
  expect(entries).toHaveLength(10_001);
  expect(recorder.conditions()).toEqual([]);
});

test("closing writes what waits, held back refusals too", async () => {
  recorder.record({ ...done, target: "token.a" });
  recorder.record(refused);
  recorder.record(refused);
  await recorder.close();
  expect(await written()).toMatchObject([{ target: "token.a" }, { count: 1 }, { count: 1, refusal: "TOKEN_UNKNOWN" }]);
});

test("closing gives up on a store that is away", async () => {
  store.goAway();
  recorder.record(done);
  await recorder.close();
  expect(store.blocks).toEqual([]);
});
