import { create, toBinary } from "@bufbuild/protobuf";
import { planeOfEpoch } from "@spanwire/core/desired/lane";
import { GatewayStatusSchema, PairPhase } from "@spanwire/proto/agent";
import { Plane } from "@spanwire/proto/record";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { afterEach, beforeEach, expect, test } from "vitest";
import { storeRecord } from "../distribution/store-record.ts";
import { createGateway, type Gateway, startTestHub, type TestHub } from "../registration/testing.ts";
import { createFakeStateStore, type FakeStateStore } from "../state/fake-state-store.ts";
import { by } from "../state/testing.ts";
import { type GatewayReport, NOTHING_HEARD } from "../status/gateway-report.ts";
import { createProgressReader } from "../status/rotation-progress.ts";
import { findEpochRecord } from "./epoch-record.ts";
import { createRotator } from "./rotate.ts";
import { rotationConditions } from "./rotation-conditions.ts";
import { listRotations } from "./rotation-history.ts";
import { askAbort, askOpen } from "./rotation-request.ts";
import type { Schedule } from "./schedule.ts";

const ABSENT_MS = 60_000;
const { signal } = new AbortController();

let store: FakeStateStore;
let hub: TestHub;
let clock: FakeClock;
let gateways: Map<string, Gateway>;
let reports: Map<string, GatewayReport>;
let audited: string[];
/** As a leader does; each call of `lead` is another one. */
let step: () => Promise<number>;

beforeEach(async () => {
  store = createFakeStateStore();
  hub = await startTestHub(store);
  clock = new FakeClock(Date.now());
  gateways = new Map();
  reports = new Map();
  audited = [];
  for (const [n, id] of ["eu", "us"].entries()) {
    const gateway = createGateway();
    await hub.register(gateway.register(await hub.token(id), { prefixes: [`10.${n}.0.0/16`] }));
    gateways.set(id, gateway);
  }
  lead();
});
afterEach(() => hub[Symbol.asyncDispose]());

function lead(schedule?: Schedule): void {
  const look = createRotator({
    ...hub.options,
    clock,
    reports: { get: ({ clusterId }) => reports.get(clusterId) ?? NOTHING_HEARD, sinceMs: clock.now() },
    readProgress: createProgressReader(),
    absentAfterMs: ABSENT_MS,
    schedule,
    record: ({ action }) => void audited.push(action),
  });
  step = () => look(signal);
}

const record = () => findEpochRecord(hub.map) ?? expect.fail("the map has no epoch");
const now = () => `${record().view.state} ${record().view.active} ${record().view.opening ?? "-"}`;
const ask = (id: string) => askOpen(store.registry, record(), id);

/** The cluster's gateway states its keys and reports that it obeys the record, with this phase towards the other. */
async function obey(clusterId: string, epochs: readonly bigint[], phase: PairPhase = PairPhase.DONE): Promise<void> {
  const gateway = gateways.get(clusterId) ?? expect.fail(clusterId);
  const generation = (hub.map.records.get(`gateway.${clusterId}.0`)?.order.generation ?? 0n) + 1n;
  const keys = epochs.map((epoch) => ({
    epoch,
    plane: planeOfEpoch(epoch) === "a" ? Plane.A : Plane.B,
    publicKey: new Uint8Array(32).fill(Number(epoch) * 2 + (clusterId === "eu" ? 1 : 2)),
  }));
  const value = { clusterId, ordinal: 0, endpoints: [{ host: "192.0.2.1", basePort: 51_820 }], keys };
  const payload = { key: `gateway.${clusterId}.0`, incarnation: 1n, generation };
  const bytes = await by.sign(gateway.signer, { ...payload, body: { case: "statement", value } });
  expect((await storeRecord({ map: hub.map, bucket: store.map }, bytes, signal)).outcome.case).toBe("stored");
  report(clusterId, phase);
}

function report(clusterId: string, phase: PairPhase): void {
  const other = clusterId === "eu" ? "us" : "eu";
  const behind = phase === PairPhase.DONE ? [] : [{ clusterId: other, ordinal: 0, phase, alive: true }];
  const { generation } = record().view;
  const status = create(GatewayStatusSchema, { rotation: { generation, behind, phases: [{ phase, pairs: 1 }] } });
  const statusBytes = toBinary(GatewayStatusSchema, status);
  reports.set(clusterId, { ...NOTHING_HEARD, heardAtMs: clock.now(), statusBytes });
}

async function bothObey(epochs: readonly bigint[], phase: PairPhase = PairPhase.DONE): Promise<void> {
  for (const id of ["eu", "us"]) await obey(id, epochs, phase);
}

/** From steady to steady. */
async function rotate(id: string): Promise<void> {
  const { active } = record().view;
  await bothObey([active]);
  await ask(id);
  await step();
  await bothObey([active, active + 1n], PairPhase.DRAINED);
  await step();
  await bothObey([active + 1n]);
  await step();
}

test("a request opens, draining closes, and when only the new peers are left all rest on the next epoch", async () => {
  await bothObey([0n]);
  await step();
  expect(now()).toBe("steady 0 -");
  await ask("first");
  await step();
  expect(now()).toBe("open 0 1");
  await obey("eu", [0n, 1n], PairPhase.DRAINED);
  await step();
  await obey("us", [0n, 1n], PairPhase.FLIPPED);
  await step();
  expect(now()).toBe("open 0 1");
  report("us", PairPhase.DRAINED);
  await step();
  expect(now()).toBe("closing 0 1");
  await bothObey([1n]);
  await step();
  expect(now()).toBe("steady 1 -");
  await rotate("second");
  expect(now()).toBe("steady 2 -");
  await step();
  expect(
    (await listRotations(store.registry)).map(({ epoch, request, isAborted }) => ({ epoch, request, isAborted })),
  ).toEqual([
    { epoch: 2n, request: "second", isAborted: false },
    { epoch: 1n, request: "first", isAborted: false },
  ]);
  expect(audited.slice(0, 3)).toEqual(["rotation.open", "rotation.closing", "rotation.steady"]);
});

test("every step may be another leader's, and a request that was obeyed is not obeyed again", async () => {
  await bothObey([0n]);
  await ask("only");
  const drive = async () => {
    for (let n = 0; n < 3; n++) {
      lead();
      await step();
    }
  };
  await drive();
  expect(now()).toBe("open 0 1");
  await bothObey([0n, 1n], PairPhase.DRAINED);
  await drive();
  await bothObey([1n]);
  await drive();
  expect(now()).toBe("steady 1 -");
  expect((await listRotations(store.registry))[0]?.endedAtMs).toBeDefined();
});

test("a leader that dies after the record and before it takes the request away opens no second rotation", async () => {
  await bothObey([0n]);
  await ask("once");
  await step();
  expect(await store.registry.get("rotation.request")).toBeDefined();
  await bothObey([0n, 1n], PairPhase.DRAINED);
  lead();
  await step();
  await bothObey([1n]);
  await step();
  await step();
  expect(now()).toBe("steady 1 -");
  expect(await store.registry.get("rotation.request")).toBeUndefined();
});

test("a second request waits for the end of the first; who asks meanwhile joins it", async () => {
  await bothObey([0n]);
  await ask("first");
  await step();
  await step();
  expect(await ask("second")).toBe("second");
  expect(await ask("third")).toBe("second");
  await bothObey([0n, 1n], PairPhase.DRAINED);
  await step();
  await bothObey([1n]);
  await step();
  expect(now()).toBe("steady 1 -");
  await bothObey([1n]);
  await step();
  expect(now()).toBe("open 1 2");
});

test("an open rotation is turned back, its number is burnt, and a closing one is not", async () => {
  await bothObey([0n]);
  await expect(askAbort(store.registry, record(), "early")).rejects.toThrow("none is open");
  await ask("first");
  await step();
  await obey("eu", [0n, 1n], PairPhase.FLIPPED);
  await askAbort(store.registry, record(), "abort");
  await expect(ask("meanwhile")).rejects.toMatchObject({ reason: "ROTATION_ABORTING" });
  await step();
  expect(now()).toBe("aborted 0 1");
  await step();
  expect(await store.registry.get("rotation.request")).toBeUndefined();
  expect((await listRotations(store.registry))[0]).toMatchObject({ epoch: 1n, isAborted: true });
  await bothObey([0n]);
  await ask("again");
  await step();
  expect(now()).toBe("open 0 3");
  await bothObey([0n, 3n], PairPhase.DRAINED);
  await step();
  await expect(askAbort(store.registry, record(), "late")).rejects.toThrow("epoch 3 is in use everywhere");
});

test("one that nobody hears is waited for no longer than it may be silent; one that another hears is", async () => {
  await bothObey([0n]);
  await ask("first");
  await step();
  await obey("eu", [0n, 1n], PairPhase.WAITING);
  clock.step(ABSENT_MS + 1);
  report("eu", PairPhase.WAITING);
  await step();
  expect(now()).toBe("open 0 1");
  const { generation } = record().view;
  const behind = [{ clusterId: "us", ordinal: 0, phase: PairPhase.WAITING, alive: false }];
  const statusBytes = toBinary(GatewayStatusSchema, create(GatewayStatusSchema, { rotation: { generation, behind } }));
  reports.set("eu", { ...NOTHING_HEARD, heardAtMs: clock.now(), statusBytes });
  await step();
  expect(now()).toBe("closing 0 1");
});

test("a step that takes long is a condition that names the pair and the reason", async () => {
  await bothObey([0n]);
  await ask("first");
  await step();
  await bothObey([0n, 1n], PairPhase.BUILDING);
  const get = ({ clusterId }: { clusterId: string }) => reports.get(clusterId) ?? NOTHING_HEARD;
  const conditions = () =>
    rotationConditions({
      ...{ map: hub.map, clock, absentAfterMs: 10 * ABSENT_MS, readProgress: createProgressReader() },
      reports: { get, sinceMs: clock.now() },
    });
  expect(conditions()).toEqual([]);
  clock.step(ABSENT_MS + 1_000);
  expect(conditions()).toEqual(
    ["eu/0~us/0", "us/0~eu/0"].map((subject) => ({
      type: "RotationStuck",
      subject,
      message: expect.stringMatching(/^the rotation to epoch 1 waits for .*: no probe passes both ways on plane b/),
    })),
  );
});

test("rotates by schedule: once when it is due, not in a blackout, and again only a period after its end", async () => {
  const HOUR_MS = 3_600_000;
  clock.step(Math.ceil(clock.now() / HOUR_MS) * HOUR_MS - clock.now());
  const hour = new Date(clock.now()).getUTCHours();
  lead({ at: { everyDays: 0.5 }, timeZone: "UTC", blackouts: [{ cron: `0 ${(hour + 12) % 24} * * *`, hours: 2 }] });
  await bothObey([0n]);
  const look = async () => {
    for (const id of ["eu", "us"]) report(id, PairPhase.DONE); // they are heard all the time
    await step();
    await step();
    return now();
  };
  // The record is older than half a day: it is the mesh's first.
  expect(await look()).toBe("open 0 1");
  await bothObey([0n, 1n], PairPhase.DRAINED);
  await step();
  await bothObey([1n]);
  await step();
  expect(now()).toBe("steady 1 -");
  clock.step(12 * HOUR_MS - 60_000);
  expect(await look()).toBe("steady 1 -");
  clock.step(2 * 60_000);
  expect(await look()).toBe("steady 1 -"); // due, and blacked out
  clock.step(2 * HOUR_MS);
  expect(await look()).toBe("open 1 2");
  await step();
  expect((await listRotations(store.registry)).map(({ request }) => request)).toEqual([
    expect.stringMatching(/^scheduled-/),
    expect.stringMatching(/^scheduled-/),
  ]);
});

test("an agent that says nothing of rotation keeps one from opening", async () => {
  await bothObey([0n]);
  const statusBytes = toBinary(GatewayStatusSchema, create(GatewayStatusSchema, { agentVersion: "0.0.1" }));
  reports.set("us", { ...NOTHING_HEARD, heardAtMs: clock.now(), statusBytes });
  await ask("first");
  await step();
  expect(now()).toBe("steady 0 -");
});
