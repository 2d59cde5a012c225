import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Signer } from "@spanwire/core/records/crypto";
import { MESH_ID, recordsBy } from "@spanwire/core/records/testing";
import { GatewayState } from "@spanwire/proto/record";
import { MapStateSchema } from "@spanwire/proto/registration";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createSigner, generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { connectNats } from "@spanwire/runtime/nats/connect";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type NatsServer, startNats } from "../../../test/lab/nats.ts";
import { loadStoredMap } from "./load-stored-map.ts";
import { MapStore } from "./map-store.ts";
import { ModelHub } from "./model-hub.ts";
import { type ModelRelay, startModelRelay } from "./model-relay.ts";
import { openOwnStatement } from "./own-statement.ts";
import { Subscription } from "./subscription.ts";
import { startUplink } from "./uplink.ts";

const crypto = { sha256, verify: createVerify() };
const newSigner = (): Signer => {
  const { publicKey, sign } = createSigner(generateSigningKey().privateKey);
  return { publicKey, sign: async (message) => sign(message) };
};
const [root, online, eu0, us0] = [newSigner(), newSigner(), newSigner(), newSigner()];
const by = recordsBy(root, crypto);
const self = { clusterId: "eu", ordinal: 0 };

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ jetstream: false });
});
afterAll(() => server[Symbol.asyncDispose]());

let hub: ModelHub;
let relay: ModelRelay;
let hubNats: NatsConnection;
let directory: string;
let stop: AbortController;
const agents: { stop: AbortController; subscription: Subscription }[] = [];
beforeEach(async () => {
  hub = new ModelHub({ root, online, by, crypto });
  hubNats = await connect({ servers: server.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
  relay = startModelRelay(hubNats, () => hub);
  directory = await mkdtemp(join(tmpdir(), "spanwire-subscription-"));
  stop = new AbortController();
  relay.write("delegation", await by.delegation(online));
  relay.write("cluster.eu", await by.admission("eu", [eu0]));
  relay.write("cluster.us", await by.admission("us", [us0]));
  relay.write("gateway.us.0", await by.statement(us0, "us"));
});
afterEach(async () => {
  for (const agent of agents.splice(0)) await end(agent);
  stop.abort();
  await hubNats.close();
  await rm(directory, { recursive: true, force: true });
});

/** An agent's subscription; `random` is 0, so that it waits no longer than it must. */
async function start({ told = true, attached = true } = {}) {
  const map = by.emptyMap();
  const accepted: string[] = [];
  const connected: Date[] = [];
  const log = createRecordingLog();
  const stop = new AbortController();
  const store = new MapStore(directory);
  const subscription = new Subscription({
    self,
    map,
    stored: await loadStoredMap(map, { store, log }),
    store,
    onAccepted: (records) => accepted.push(...records.map(({ key }) => key)),
    onConfirmed: () => accepted.push("confirmed"),
    onLost: () => {},
    onConnected: () => connected.push(new Date()),
    clock: systemClock,
    random: () => 0,
    log,
    signal: stop.signal,
  });
  const agent = { stop, subscription, map, accepted, connected, log, nats: undefined as NatsConnection | undefined };
  agents.push(agent);
  if (told) subscription.told(mapState());
  if (attached) {
    agent.nats = await connectNats({
      servers: [server.url],
      name: "agent",
      inboxPrefix: "sw.v1.inbox.eu.0",
      log,
      backoff: { baseMs: 20, capMs: 50 },
      signal: stop.signal,
    });
    subscription.attach(agent.nats);
    await agent.nats.flush();
  }
  return agent;
}
async function end({ stop, subscription }: (typeof agents)[number]): Promise<void> {
  stop.abort();
  await subscription.done;
  await subscription.close();
}
function mapState() {
  return create(MapStateSchema, { ...hub.position, digest: hub.map.digest() });
}
const eventually = (condition: () => unknown) => expect.poll(condition);
const generationOf = (map: ReturnType<typeof by.emptyMap>, key = "gateway.us.0") => map.get(key)?.order.generation;

test("a fresh agent reads a snapshot in parts and is confirmed by what it was told", async () => {
  const { map, accepted, subscription } = await start();
  await eventually(() => accepted).toEqual(["confirmed"]);
  expect(map.digest()).toEqual(hub.map.digest());
  expect(subscription.health).toMatchObject({
    confirmed: true,
    position: hub.position,
    failures: 0,
    notSaved: undefined,
  });
});

test("a connection that comes back after the end tells nobody", async () => {
  const agent = await start({ attached: false });
  agent.subscription.attach(hubNats);
  const isBack = (async () => {
    for await (const { type } of hubNats.status()) if (type === "reconnect") return;
  })();
  await end(agent);
  await hubNats.reconnect();
  await isBack;
  expect(agent.connected).toHaveLength(1);
});

test("a fresh agent takes nothing from a relay that shows another map than it was told of", async () => {
  const agent = await start({ told: false });
  agent.subscription.told({ ...mapState(), sequence: 99n, digest: new Uint8Array(32).fill(7) });
  await eventually(() => relay.snapshots).toBeGreaterThan(1);
  expect(agent.accepted).toEqual([]);
  expect(agent.subscription.health.confirmed).toBe(false);
});

test("a change arrives once, and is on disk when it is told", async () => {
  const { accepted, map } = await start();
  await eventually(() => accepted).toEqual(["confirmed"]);
  relay.write("gateway.us.0", await by.statement(us0, "us", { generation: 2n }));
  await eventually(() => accepted).toEqual(["confirmed", "gateway.us.0"]);
  expect(generationOf(map)).toBe(2n);
  expect(relay.snapshots).toBe(1);
  const other = await start({ told: false, attached: false });
  expect(generationOf(other.map)).toBe(2n);
});

test("a lost change is fetched: by the gap after it, and by the head", async () => {
  const { accepted, map } = await start();
  await eventually(() => accepted).toEqual(["confirmed"]);
  relay.write("gateway.us.0", await by.statement(us0, "us", { generation: 2n }), { lost: true });
  relay.write("cluster.asia", await by.admission("asia", []));
  await eventually(() => generationOf(map)).toBe(2n);
  relay.write("gateway.us.0", await by.statement(us0, "us", { generation: 3n }), { lost: true });
  await relay.head();
  await eventually(() => generationOf(map)).toBe(3n);
  expect(relay.snapshots).toBe(3);
});

test("starts from disk without a hub, with every order, and goes on from there", async () => {
  const first = await start();
  await eventually(() => first.accepted).toEqual(["confirmed"]);
  relay.write("gateway.us.0", await by.statement(us0, "us", { generation: 5n }));
  await eventually(() => generationOf(first.map)).toBe(5n);
  await end(first);
  agents.splice(0);
  relay.mute();

  const second = await start({ told: false });
  expect(second.subscription.confirmed).toBe(true);
  expect(generationOf(second.map)).toBe(5n);
  relay.publish({ key: "gateway.us.0", bytes: await by.statement(us0, "us", { generation: 4n }), sequence: 6n });
  relay.publish({ key: "gateway.us.0", bytes: await by.statement(us0, "us", { generation: 6n }), sequence: 7n });
  await eventually(() => generationOf(second.map)).toBe(6n);
  expect(second.accepted).toEqual(["gateway.us.0"]);
});

test("forged and foreign records are told to the log and to nobody else", async () => {
  const { accepted, subscription, map, log } = await start();
  await eventually(() => accepted).toEqual(["confirmed"]);
  const { sequence } = hub.position;
  relay.publish({
    key: "gateway.us.0",
    bytes: await by.statement(eu0, "us", { generation: 9n }),
    sequence: sequence + 1n,
  });
  relay.publish({ key: "gateway.us.0", bytes: new Uint8Array([1, 2, 3]), sequence: sequence + 2n });
  await eventually(() => subscription.health.rejections.map(({ reason }) => reason)).toEqual([
    "UNKNOWN_SIGNER",
    "MALFORMED",
  ]);
  expect(accepted).toEqual(["confirmed"]);
  expect(generationOf(map)).toBe(1n);
  expect(log.events.filter(({ fields }) => "evidence" in fields)).toHaveLength(2);
});

test("comes back after the server was killed, and asks for what it missed", async () => {
  const { accepted, map } = await start();
  await eventually(() => accepted).toEqual(["confirmed"]);
  await server.kill();
  relay.write("gateway.us.0", await by.statement(us0, "us", { generation: 2n }), { lost: true });
  await server.restart();
  await eventually(async () => {
    await relay.head();
    return generationOf(map);
  }).toBe(2n);
});

async function startStatement(agent: Awaited<ReturnType<typeof start>>, endpoint = "192.0.2.7", incarnation = 1n) {
  const own = await openOwnStatement({
    stateDirectory: directory,
    self,
    incarnation,
    meshId: MESH_ID,
    signer: eu0,
    clock: systemClock,
  });
  const state = { endpoint };
  const uplink = startUplink({
    self,
    nats: () => agent.nats,
    own,
    content: async () => ({ endpoints: [{ host: state.endpoint, basePort: 51820 }], state: GatewayState.SERVING }),
    map: agent.map,
    subscription: agent.subscription,
    clock: systemClock,
    random: () => 0,
    log: agent.log,
    signal: agent.stop.signal,
  });
  return { uplink, own, state };
}
const hubStatement = () => hub.map.statements.get("gateway.eu.0");

test("the own statement is sent until it is stored, and again when it says something else", async () => {
  const agent = await start();
  const { uplink, state } = await startStatement(agent);
  await eventually(() => hubStatement()?.order.generation).toBe(1n);
  await eventually(() => generationOf(agent.map, "gateway.eu.0")).toBe(1n);
  uplink.wake();
  state.endpoint = "192.0.2.8";
  uplink.wake();
  await eventually(() => hubStatement()?.statement.endpoints[0]?.host).toBe("192.0.2.8");
  expect(hubStatement()?.order.generation).toBe(2n);
  expect(relay.received).toEqual(["gateway.eu.0", "gateway.eu.0"]);
});

test("the same statement is the same bytes after a restart, and is not sent again", async () => {
  const first = await start();
  await startStatement(first);
  await eventually(() => generationOf(first.map, "gateway.eu.0")).toBe(1n);
  await end(first);
  agents.splice(0);
  const second = await start({ told: false });
  const { own } = await startStatement(second);
  await eventually(() => own.sealed?.order.generation).toBe(1n);
  expect(relay.received).toEqual(["gateway.eu.0"]);
});

test("a statement goes on from the order that the hub holds", async () => {
  relay.write("gateway.eu.0", await by.statement(eu0, "eu", { generation: 41n, host: "203.0.113.1" }));
  const agent = await start({ told: false });
  const { own } = await startStatement(agent);
  await eventually(() => hubStatement()?.order.generation).toBe(42n);
  expect(own.sealed?.order.generation).toBe(42n);
  expect(relay.received).toEqual(["gateway.eu.0", "gateway.eu.0"]);
});

test("a statement of an identity that was replaced is refused, and the refusal is the problem", async () => {
  relay.write(
    "gateway.eu.0",
    await by.sign(online, {
      key: "gateway.eu.0",
      incarnation: 2n,
      generation: 1n,
      body: { case: "tombstone", value: {} },
    }),
  );
  const agent = await start({ told: false });
  const { uplink } = await startStatement(agent);
  await eventually(() => uplink.problem).toContain("a newer one is stored (STALE_ORDER)");
});

test("hands back what a store has lost, others' records too", async () => {
  const agent = await start();
  const old = hub.copy();
  await startStatement(agent);
  await eventually(() => generationOf(agent.map, "gateway.eu.0")).toBe(1n);
  relay.write("gateway.us.0", await by.statement(us0, "us", { generation: 2n }));
  await eventually(() => generationOf(agent.map)).toBe(2n);
  hub.rollBack(old, { noticed: true });
  await relay.head();
  await eventually(() => agent.subscription.missing.size).toBe(2);
  // Woken by the agent when it hears of it; here by hand.
  const { uplink } = await startStatement(agent);
  uplink.wake();
  await eventually(() => hub.map.digest()).toEqual(agent.map.digest());
  await relay.head(Date.now() + 1);
  await eventually(() => agent.subscription.missing.size).toBe(0);
});
