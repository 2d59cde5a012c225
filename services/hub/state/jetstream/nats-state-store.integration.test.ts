import { jetstreamManager } from "@nats-io/jetstream";
import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type NatsServer, startNats } from "../../../../test/lab/nats.ts";
import { describeStateStore, follow } from "../contract.ts";
import { streamOf } from "./bucket-config.ts";
import { openNatsStateStore } from "./nats-state-store.ts";

/** One for each test: a server that deletes and makes a stream of the same name at once may find the old one's files. */
const ACCOUNTS = Array.from({ length: 60 }, (_, n) => `account${n}`);
const config = `accounts { ${ACCOUNTS.map((name) => `${name} { jetstream: enabled, users: [{ user: ${name}, password: p }] }`).join("\n")} }`;

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ config });
});
afterAll(() => server[Symbol.asyncDispose]());

let used = 0;

/** An empty store in an account of its own. */
async function open(url = server.url) {
  const user = ACCOUNTS[used++] ?? "";
  const connectAgain = () =>
    connect({ servers: url, user, pass: "p", maxReconnectAttempts: -1, reconnectTimeWait: 20 });
  const connection = await connectAgain();
  const manager = await jetstreamManager(connection);
  const store = await openNatsStateStore({ connection, clock: systemClock });
  return { connection, manager, store, connectAgain, [Symbol.asyncDispose]: () => connection.close() };
}

describeStateStore("the state store in nats", open);

const text = (content: string) => new TextEncoder().encode(content);

async function nextMessage(connection: NatsConnection, subject: string) {
  const subscription = connection.subscribe(subject, { max: 1 });
  await connection.flush();
  return async () => {
    for await (const message of subscription) return message;
    throw new Error("closed");
  };
}

test("one write reaches every subscriber, with the sequence that it got", async () => {
  await using opened = await open();
  const received = await nextMessage(opened.connection, "sw.v1.map.>");
  await opened.store.map.put("mesh", text("0"), { expectedRevision: 0 });
  const first = await received();
  expect([first.subject, first.string(), first.headers?.get("Nats-Sequence")]).toEqual(["sw.v1.map.mesh", "0", "1"]);
});

test("two hubs that admit at once from the same view: one is stored, however often it is tried", async () => {
  await using one = await open();
  await using two = {
    connection: await one.connectAgain(),
    [Symbol.asyncDispose]: () => two.connection.close(),
  };
  const other = await openNatsStateStore({ connection: two.connection, clock: systemClock });
  for (let round = 0; round < 50; round++) {
    const expectedClustersSequence = await one.store.map.lastClustersSequence();
    const race = await Promise.all([
      one.store.map.putCluster(`cluster.a${round}`, text("a"), { expectedClustersSequence }),
      other.map.putCluster(`cluster.b${round}`, text("b"), { expectedClustersSequence }),
    ]);
    expect(race.filter(({ ok }) => ok)).toHaveLength(1);
  }
  expect((await one.store.map.list("cluster.")).length).toBe(50);
});

describe("deletes and purges by somebody else", () => {
  test("a marker is seen and counts as nothing there", async () => {
    await using opened = await open();
    const { map } = opened.store;
    await map.put("mesh", text("1"), { expectedRevision: 0 });
    await using watch = follow(map);
    await watch.next();
    await watch.next();
    await opened.store.map.put("epoch", text("1"), { expectedRevision: 0 });
    await watch.next();
    for (const operation of ["DEL", "PURGE"]) {
      await kvOperation(opened.connection, "mesh", operation);
      expect(await watch.next()).toMatchObject({ kind: "delete", key: "mesh" });
      expect(await map.get("mesh")).toBeUndefined();
      expect(await map.put("mesh", text("2"), { expectedRevision: 0 })).toMatchObject({ ok: true });
      expect(await watch.next()).toMatchObject({ kind: "put" });
    }
  });

  test("a purged subject shows in the number of keys", async () => {
    await using opened = await open();
    const { map } = opened.store;
    await map.put("mesh", text("1"), { expectedRevision: 0 });
    await map.put("epoch", text("1"), { expectedRevision: 0 });
    await opened.manager.streams.purge(streamOf("sw-map"), { filter: "$KV.sw-map.mesh" });
    expect(await map.status()).toMatchObject({ keys: 1, lastSequence: 2 });
    expect(await map.get("mesh")).toBeUndefined();
  });
});

describe("what the server was told", () => {
  test("is the same when opened again, also with more of it", async () => {
    await using opened = await open();
    await openNatsStateStore({ connection: opened.connection, clock: systemClock, replicas: 1 });
    const { config } = await opened.manager.streams.info(streamOf("sw-map"));
    expect(config).toMatchObject({ max_msgs_per_subject: 1, republish: { dest: "sw.v1.map.>" }, num_replicas: 1 });
  });

  test("a setting that somebody changed is put right", async () => {
    await using opened = await open();
    const { config } = await opened.manager.streams.info(streamOf("sw-map"));
    await opened.manager.streams.update(config.name, { ...config, max_msgs_per_subject: 5 });
    await openNatsStateStore({ connection: opened.connection, clock: systemClock });
    expect((await opened.manager.streams.info(config.name)).config.max_msgs_per_subject).toBe(1);
  });

  test("a setting that cannot be had is an error", async () => {
    await using opened = await open();
    const opening = openNatsStateStore({ connection: opened.connection, clock: systemClock, replicas: 3 });
    await expect(opening).rejects.toThrow(/make nats stream KV_sw-map: .*replicas/);
  });
});

test("a bucket that was removed is made again, and the watch of it ends", async () => {
  await using opened = await open();
  const { map } = opened.store;
  const { created } = await map.status();
  await opened.manager.streams.delete(streamOf("sw-map"));
  await expect(map.status()).rejects.toMatchObject({ code: "unavailable", retryable: true });
  expect(await map.status()).toMatchObject({ lastSequence: 0, keys: 0 });
  expect((await map.status()).created).not.toBe(created);
});

test("while the server is down everything is unavailable, and a watch ends; afterwards all is as before", async () => {
  await using down = await startNats({ config });
  await using opened = await open(down.url);
  const { map } = opened.store;
  await map.put("mesh", text("1"), { expectedRevision: 0 });
  const before = await map.status();
  await using watch = follow(map);
  await watch.next();
  await watch.next();
  await down.kill();
  await expect(watch.next()).rejects.toMatchObject({ code: "unavailable" });
  await expect(map.get("mesh")).rejects.toMatchObject({ code: "unavailable", retryable: true });
  await down.restart();
  await expect.poll(() => map.get("mesh").catch(() => undefined)).toMatchObject({ revision: 1 });
  expect(await map.status()).toEqual(before);
});

test("a server without jetstream is said so", async () => {
  await using plain = await startNats({ jetstream: false });
  const connection = await connect({ servers: plain.url });
  await expect(openNatsStateStore({ connection, clock: systemClock })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("open the state in nats"),
  });
  await connection.close();
});

async function kvOperation(connection: NatsConnection, key: string, operation: string): Promise<void> {
  const header = headers();
  header.set("KV-Operation", operation);
  if (operation === "PURGE") header.set("Nats-Rollup", "sub");
  await connection.request(`$KV.sw-map.${key}`, undefined, { headers: header, timeout: 60_000 });
}
