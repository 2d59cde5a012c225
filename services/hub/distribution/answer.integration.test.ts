import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { connect, createInbox, type NatsConnection } from "@nats-io/transport-node";
import { SnapshotChunkSchema, SnapshotRequestSchema, StoreReplySchema } from "@spanwire/proto/agent";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type NatsServer, startNats } from "../../../test/lab/nats.ts";
import { createFakeStateStore, type FakeStateStore } from "../state/fake-state-store.ts";
import { by, followMap, online, root, signerFrom, type TestHubMap, writeRecords } from "../state/testing.ts";
import { answerAgents, type Dropped, type Report } from "./answer.ts";

const eu0 = signerFrom(10);
const soon = { timeout: 60_000 };

let server: NatsServer;
let hubNats: NatsConnection;
let agent: NatsConnection;
beforeAll(async () => {
  server = await startNats({ jetstream: false });
  hubNats = await connect({ servers: server.url });
  agent = await connect({ servers: server.url, inboxPrefix: "sw.v1.inbox.eu.0" });
});
afterAll(async () => {
  await Promise.all([hubNats.close(), agent.close()]);
  await server[Symbol.asyncDispose]();
});

let store: FakeStateStore;
let hub: TestHubMap;
let stop: AbortController;
let answering: Promise<void>;
const dropped: Dropped[] = [];
const reports: Report[] = [];
beforeEach(async () => {
  store = createFakeStateStore();
  const order = { incarnation: 1n, generation: 1n };
  const mesh = { meshId: "mesh-test", overlayIpv4: "198.18.0.0/15", overlayIpv6: "fd18::/48", maxGateways: 2 };
  await writeRecords(store, {
    mesh: await by.sign(root, { key: "mesh", ...order, body: { case: "mesh", value: mesh } }),
    delegation: await by.delegation(online),
    epoch: await by.sign(online, { key: "epoch", ...order, body: { case: "epoch", value: { active: 0n, state: 1 } } }),
    "cluster.eu": await by.admission("eu", [eu0]),
  });
  hub = followMap(store, { clock: systemClock });
  stop = new AbortController();
  await hub.map.whenCurrent(stop.signal);
  dropped.length = 0;
  reports.length = 0;
  answering = answerAgents({
    nats: hubNats,
    map: hub.map,
    bucket: store.map,
    clock: systemClock,
    onReport: (report) => reports.push(report),
    onDropped: (each) => dropped.push(each),
    signal: stop.signal,
  });
  await hubNats.flush();
});
afterEach(async () => {
  stop.abort();
  await answering;
  await hub[Symbol.asyncDispose]();
});

async function send(bytes: Uint8Array) {
  const reply = await agent.request("sw.v1.up.eu.0.statement", bytes, { timeout: 60_000 });
  return fromBinary(StoreReplySchema, reply.data).outcome;
}

/** All parts of one answer. */
async function askSnapshot(have: { lineage: bigint; sequence: bigint }) {
  const inbox = createInbox("sw.v1.inbox.eu.0");
  const subscription = agent.subscribe(inbox);
  const request = toBinary(SnapshotRequestSchema, create(SnapshotRequestSchema, have));
  agent.publish("sw.v1.up.eu.0.snapshot", request, { reply: inbox });
  const chunks = [];
  for await (const message of subscription) {
    chunks.push(fromBinary(SnapshotChunkSchema, message.data));
    if (chunks.length === chunks[0]?.count) break;
  }
  return chunks;
}

test("a snapshot is the whole map in parts, also for who is at its sequence or beyond it", async () => {
  for (let n = 0; n < 12; n++) {
    const key = `novelty.n${n}`;
    const value = { agentVersion: "x".repeat(60_000) };
    const order = { incarnation: 1n, generation: 1n };
    const bytes = await by.sign(root, { key, ...order, body: { case: "statement", value } });
    await writeRecords(store, { [key]: bytes });
  }
  await hub.map.waitFor(16, stop.signal);
  const { lineage, sequence, digest } = hub.map.snapshot();
  for (const have of [0n, BigInt(sequence), BigInt(sequence) + 100n]) {
    const chunks = await askSnapshot({ lineage, sequence: have });
    expect(chunks.length).toBeGreaterThan(1);
    expect(chunks.flatMap(({ entries }) => entries.map(({ key }) => key)).slice(0, 4)).toEqual([
      "mesh",
      "delegation",
      "cluster.eu",
      "epoch",
    ]);
    expect(new Set(chunks.map((chunk) => chunk.sequence))).toEqual(new Set([BigInt(sequence)]));
    expect(chunks[0]?.digest).toEqual(digest);
  }
});

test("an agent that is ahead of this replica is answered when the replica has caught up", async () => {
  const { lineage, sequence } = hub.map;
  const asking = askSnapshot({ lineage, sequence: BigInt(sequence + 1) });
  await agent.flush();
  await writeRecords(store, { "cluster.us": await by.admission("us", []) });
  expect((await asking)[0]?.sequence).toBe(BigInt(sequence + 1));
});

test("statements and reports arrive; too many of them are refused, and others are not affected", async () => {
  const bytes = await by.statement(eu0, "eu");
  expect(await send(bytes)).toMatchObject({ case: "stored", value: { generation: 1n } });
  agent.publish("sw.v1.up.eu.0.status", new Uint8Array([1]));
  agent.publish("sw.v1.up.eu.0.applied", new Uint8Array([2]));
  await expect
    .poll(() => reports.map(({ kind, bytes: [first] }) => [kind, first]), soon)
    .toEqual([
      ["status", 1],
      ["applied", 2],
    ]);
  const outcomes = await Promise.all(Array.from({ length: 60 }, () => send(bytes)));
  const refusals = outcomes.filter((outcome) => outcome.case === "refused");
  expect(refusals.length).toBeGreaterThan(20);
  expect(refusals[0]).toMatchObject({ value: { reason: "RATE_LIMITED", retryable: true } });
  expect((await askSnapshot({ lineage: 0n, sequence: 0n })).length).toBe(1);
});

test("every hub hears a status, and keeps nothing else that arrived with it; one of them takes an acknowledgement", async () => {
  const others: Report[] = [];
  const otherNats = await connect({ servers: server.url });
  const other = answerAgents({
    nats: otherNats,
    map: hub.map,
    bucket: store.map,
    clock: systemClock,
    onReport: (report) => others.push(report),
    onDropped: (each) => dropped.push(each),
    signal: stop.signal,
  });
  await otherNats.flush();
  for (let n = 0; n < 20; n++) agent.publish("sw.v1.up.eu.0.applied", new Uint8Array([n]));
  agent.publish("sw.v1.up.eu.0.status", new Uint8Array([7]));
  const statuses = (of: readonly Report[]) => of.filter(({ kind }) => kind === "status").map(({ bytes }) => [...bytes]);
  await expect.poll(() => [reports, others].map(statuses), soon).toEqual([[[7]], [[7]]]);
  expect(reports[0]?.bytes.buffer.byteLength).toBe(1);
  const applied = () => [...reports, ...others].filter(({ kind }) => kind === "applied").map(({ bytes: [n] }) => n);
  await expect
    .poll(() => applied().sort((a = 0, b = 0) => a - b), soon)
    .toEqual(Array.from({ length: 20 }, (_, n) => n));
  stop.abort();
  await other;
  await otherNats.close();
});

test.each([
  "snapshot",
  "status",
  "applied",
])("an agent that floods with %s is not heard for a while; another one is", async (kind) => {
  for (let nth = 0; nth < 200; nth++) {
    agent.publish(`sw.v1.up.eu.0.${kind}`, new Uint8Array(), { reply: "sw.v1.inbox.eu.0.x" });
  }
  const limited = () => dropped.filter(({ reason }) => reason === "RATE_LIMITED").map(({ subject }) => subject);
  await expect.poll(() => limited().length, soon).toBeGreaterThan(100);
  expect(new Set(limited())).toEqual(new Set([`sw.v1.up.eu.0.${kind}`]));
  agent.publish("sw.v1.up.us.0.status", new Uint8Array([7]));
  await expect.poll(() => reports.find(({ gateway }) => gateway.clusterId === "us")?.bytes[0], soon).toBe(7);
});

test("whatever is sent, nothing is written, nothing crashes, and the next request is answered", async () => {
  const before = await store.map.entries();
  const kind = fc.constantFrom("snapshot", "statement", "applied", "status", "export", "x");
  const who = fc.constantFrom("eu.0", "eu.15", "us.0", "-.0", "eu.99");
  const reply = fc.constantFrom(undefined, "sw.v1.inbox.eu.0.a", "$KV.sw-map.mesh", "sw.v1.head", "sw.v1.inbox.us.0.a");
  const payload = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(new Uint8Array(600_000)));
  const messages = fc.array(fc.record({ kind, who, reply, payload }), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(messages, async (batch) => {
      for (const each of batch) {
        agent.publish(`sw.v1.up.${each.who}.${each.kind}`, each.payload, each.reply ? { reply: each.reply } : {});
      }
      await agent.flush();
    }),
    { numRuns: 30 },
  );
  const bytes = await by.statement(eu0, "eu");
  await expect.poll(() => send(bytes), soon).toMatchObject({ case: "stored" });
  const after = await store.map.entries();
  expect(after.entries.filter(({ key }) => key !== "gateway.eu.0")).toEqual(before.entries);
  agent.publish("sw.v1.up.eu.0.snapshot", new Uint8Array([0xff]), { reply: "sw.v1.inbox.eu.0.a" });
  const reasons = () => dropped.map(({ reason }) => reason);
  await expect.poll(reasons, soon).toEqual(expect.arrayContaining(["UNKNOWN_SUBJECT", "FOREIGN_REPLY", "MALFORMED"]));
  expect(reasons()).not.toContain("FAILED");
});

test("while the store is away an agent is told to come back, and then it is served", async () => {
  const bytes = await by.statement(eu0, "eu");
  store.goAway();
  expect(await send(bytes)).toMatchObject({ case: "refused", value: { reason: "STORE_AWAY", retryable: true } });
  expect(dropped.map(({ reason }) => reason)).toEqual(["FAILED"]);
  store.comeBack();
  await expect.poll(() => send(bytes), soon).toMatchObject({ case: "stored" });
});
