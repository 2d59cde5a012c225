import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { NatsConnection } from "@nats-io/transport-node";
import { MESH_ID } from "@spanwire/core/records/testing";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { expect, test } from "vitest";
import { createFakeStateStore } from "../state/fake-state-store.ts";
import { by, followMap, online, signerFrom, writeRecords } from "../state/testing.ts";
import { publishHeads } from "./publish-heads.ts";

const never = new AbortController().signal;
const eu0 = signerFrom(10);

async function start(isLeader: () => boolean = () => true) {
  const store = createFakeStateStore();
  await writeRecords(store, {
    delegation: await by.delegation(online),
    "cluster.eu": await by.admission("eu", [eu0]),
  });
  const following = followMap(store);
  const { map } = following;
  await map.whenCurrent(never);
  const clock = new FakeClock(50_000);
  const stop = new AbortController();
  const published: { subject: string; bytes: Uint8Array }[] = [];
  const connects = { count: 0 };
  const nats = { publish: (subject: string, bytes: Uint8Array) => void published.push({ subject, bytes }) };
  const done = publishHeads({
    nats: nats as NatsConnection,
    map,
    meshId: MESH_ID,
    signer: online,
    sha256,
    clock,
    isLeader,
    connectCount: () => connects.count,
    signal: stop.signal,
  });
  return {
    store,
    map,
    clock,
    published,
    connects,
    /** What an agent reads of the last one. */
    last() {
      const opened = map.records.open("head", published.at(-1)?.bytes ?? new Uint8Array());
      if (!opened.ok || opened.record.payload.body.case !== "head") throw new Error("not a head");
      return { ...opened.record.order, ...opened.record.payload.body.value };
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
      await following[Symbol.asyncDispose]();
    },
  };
}

test("says every 2 s, signed, where the map is and what it adds up to", async () => {
  await using hub = await start();
  await hub.clock.advance(4_000);
  expect(hub.published.map(({ subject }) => subject)).toEqual(Array(3).fill("sw.v1.head"));
  const { incarnation, generation, digest, recordCount, hubTime } = hub.last();
  expect({ incarnation, generation, recordCount }).toEqual({
    incarnation: hub.map.lineage,
    generation: 2n,
    recordCount: 2,
  });
  expect(digest).toEqual(hub.map.records.digest());
  expect(hubTime && timestampMs(hubTime)).toBe(54_000);
});

test.each([
  { name: "an admission", key: "cluster.us", bytes: () => by.admission("us", []), urgent: true },
  {
    name: "a tombstone",
    key: "gateway.eu.0",
    bytes: () =>
      by.sign(online, { key: "gateway.eu.0", incarnation: 2n, generation: 0n, body: { case: "tombstone", value: {} } }),
    urgent: true,
  },
  { name: "a statement", key: "gateway.eu.0", bytes: () => by.statement(eu0, "eu"), urgent: false },
])("$name is told at once: $urgent", async ({ key, bytes, urgent }) => {
  await using hub = await start();
  await hub.clock.advance(1_000);
  await writeRecords(hub.store, { [key]: await bytes() });
  await hub.map.waitFor(3, never);
  await hub.clock.advance(0);
  expect(hub.published).toHaveLength(urgent ? 2 : 1);
  await hub.clock.advance(2_000);
  expect(hub.last().generation).toBe(3n);
});

test("many admissions together are few heads, and the last one tells of all", async () => {
  await using hub = await start();
  await hub.clock.advance(1_000);
  for (let n = 0; n < 50; n++) {
    await writeRecords(hub.store, { [`cluster.c${n}`]: await by.admission(`c${n}`, []) });
    await hub.map.waitFor(3 + n, never);
    await hub.clock.advance(10);
  }
  await hub.clock.advance(100);
  expect(hub.published.length).toBeLessThanOrEqual(8);
  expect(hub.last().generation).toBe(52n);
});

test("is at rest half a minute after the last change or connection; then every 10 s is enough", async () => {
  await using hub = await start();
  const count = async (ms: number) => {
    const before = hub.published.length;
    await hub.clock.advance(ms);
    return hub.published.length - before;
  };
  await hub.clock.advance(40_000);
  expect(await count(60_000)).toBe(6);
  hub.connects.count += 1;
  expect(await count(2_000)).toBe(1);
  expect(await count(20_000)).toBe(10);
  await hub.clock.advance(20_000);
  expect(await count(60_000)).toBe(6);
  await writeRecords(hub.store, { "gateway.eu.0": await by.statement(eu0, "eu") });
  await hub.map.waitFor(3, never);
  expect(await count(2_000)).toBe(1);
  expect(hub.last().generation).toBe(3n);
});

test("says nothing while another hub leads", async () => {
  const leading = { is: false };
  await using hub = await start(() => leading.is);
  await hub.clock.advance(6_000);
  expect(hub.published).toEqual([]);
  leading.is = true;
  await hub.clock.advance(2_000);
  expect(hub.published).toHaveLength(1);
});
