import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { RecordMap } from "@spanwire/core/records/record-map";
import { AdmissionSchema } from "@spanwire/proto/record";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createGateway, startTestHub, type TestHub } from "../registration/testing.ts";
import { listTokens } from "../registration/tokens.ts";
import { createFakeStateStore } from "../state/fake-state-store.ts";
import { crypto, root } from "../state/testing.ts";
import { NOTHING_HEARD } from "../status/gateway-report.ts";
import { createProgressReader } from "../status/rotation-progress.ts";
import { dueAdmissions, lead } from "./lead.ts";

const HOUR_MS = 3_600_000;
const LEASE_MS = 24 * HOUR_MS;
const NOW = 1_800_000_000_000;

const admission = (clusterId: string, leftMs: number | undefined, gateways = 1) =>
  create(AdmissionSchema, {
    clusterId,
    gateways: Array.from({ length: gateways }, (_, ordinal) => ({ ordinal })),
    ...(leftMs === undefined ? {} : { notAfter: timestampFromMs(NOW + leftMs) }),
  });

test("extends what has less than half its lease left, and somebody to live by it", () => {
  const admissions = [
    admission("fresh", LEASE_MS),
    admission("half", LEASE_MS / 2),
    admission("less", LEASE_MS / 2 - 1),
    admission("over", -1),
    admission("revoked", 0, 0),
    admission("endless", undefined),
  ];
  const due = dueAdmissions(admissions, { nowMs: NOW, leaseMs: LEASE_MS });
  expect(due.map(({ clusterId }) => clusterId)).toEqual(["less", "over"]);
});

let hub: TestHub;
let stop: AbortController;
beforeEach(async () => {
  stop = new AbortController();
  hub = await startTestHub(createFakeStateStore());
});
afterEach(async () => {
  stop.abort();
  await hub[Symbol.asyncDispose]();
});

const unheard = { record: () => {}, trimAudit: async () => {}, connectCount: () => 0 };
const nobody = {
  reports: { get: () => NOTHING_HEARD, sinceMs: 0 },
  readProgress: createProgressReader(),
  absentAfterMs: HOUR_MS,
  schedule: undefined,
};

function startLeading(clock: FakeClock) {
  const heads: Uint8Array[] = [];
  const nats = { publish: (_subject: string, bytes: Uint8Array) => heads.push(bytes) };
  const options = {
    ...hub.options,
    clock,
    leaseMs: LEASE_MS,
    log: createRecordingLog(),
    random: () => 0.5,
    ...unheard,
    ...nobody,
  };
  const done = lead({ ...options, nats: nats as never, signal: stop.signal });
  return { heads, done };
}

test("the leader extends leases, sweeps tokens and publishes heads, until it no longer leads", async () => {
  await hub.register(createGateway().register(await hub.token("eu"), { prefixes: ["10.1.0.0/16"] }));
  await hub.token("us");
  const before = hub.map.records.admissions.get("eu");
  const clock = new FakeClock(Date.now());
  const { heads, done } = startLeading(clock);

  await clock.asleep(4);
  expect(hub.map.records.admissions.get("eu")).toEqual(before);
  expect(await listTokens(hub.options.store.registry)).toHaveLength(2);

  clock.step(26 * HOUR_MS);
  await clock.advance(61_000);
  const after = hub.map.records.admissions.get("eu");
  expect(after).toMatchObject({ prefixes: before?.prefixes, gateways: before?.gateways });
  expect(timestampMs(after?.notAfter ?? timestampFromMs(0))).toBeGreaterThan(clock.now());
  expect(await listTokens(hub.options.store.registry)).toEqual([]);

  const trust = { meshId: hub.options.meshId, authorityKey: root.publicKey, ...crypto };
  const reader = new RecordMap(trust);
  for (const { key, bytes } of hub.map.snapshot().entries) reader.offer(key, bytes);
  const last = reader.open("head", heads.at(-1) ?? new Uint8Array());
  expect(last).toMatchObject({ ok: true, record: { order: { incarnation: hub.map.lineage } } });
  stop.abort();
  await done;
  const published = heads.length;
  await clock.advance(10_000);
  expect(heads).toHaveLength(published);
});
