import { cp, rm } from "node:fs/promises";
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { expect, test } from "vitest";
import { type NatsServer, startNats } from "../../../test/lab/nats.ts";
import { openNatsStateStore } from "./jetstream/nats-state-store.ts";
import type { StateStore } from "./port.ts";
import { by, followMap, online, signerFrom, type TestHubMap, writeRecords } from "./testing.ts";

const never = new AbortController().signal;
const eu0 = signerFrom(10);
const soon = { timeout: 60_000 };

async function openStore(server: NatsServer) {
  const connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
  const store = await openNatsStateStore({ connection, clock: systemClock, timeoutMs: 2_000 });
  return { store, [Symbol.asyncDispose]: () => connection.close() };
}

async function writeEu(store: StateStore): Promise<void> {
  await writeRecords(store, {
    delegation: await by.delegation(online),
    "cluster.eu": await by.admission("eu", [eu0]),
    "gateway.eu.0": await by.statement(eu0, "eu"),
  });
}

async function stored(store: StateStore): Promise<Map<string, Uint8Array> | undefined> {
  const entries = await store.map.list().catch(() => undefined);
  return entries && new Map(entries.map(({ key, bytes }) => [key, bytes]));
}

function held({ map }: TestHubMap): Map<string, Uint8Array> {
  return new Map([...map.records.records()].map(({ key, bytes }) => [key, bytes]));
}

test("a server killed and restarted loses nothing and is no new lineage", async () => {
  await using server = await startNats();
  await using opened = await openStore(server);
  await writeEu(opened.store);
  await using hub = followMap(opened.store, { clock: systemClock });
  await hub.map.whenCurrent(never);
  const { lineage } = hub.map;
  await server.restart();
  await expect.poll(() => hub.incidents.map(({ kind }) => kind), soon).toContain("unavailable");
  await expect
    .poll(
      () =>
        opened.store.map.get("mesh").then(
          () => "up",
          () => "down",
        ),
      soon,
    )
    .toBe("up");
  await writeRecords(opened.store, { "cluster.us": await by.admission("us", []) });
  await hub.map.waitFor(4, never);
  expect(hub.map.lineage).toBe(lineage);
  expect(hub.incidents.filter(({ kind }) => kind !== "unavailable")).toEqual([]);
});

test.each(["rolled back to an old copy", "emptied"])("a store %s is healed in a new lineage", async (damage) => {
  await using server = await startNats();
  await using opened = await openStore(server);
  await writeEu(opened.store);
  await server.kill("SIGTERM");
  const copy = `${server.storeDirectory}.copy`;
  await cp(server.storeDirectory, copy, { recursive: true });
  await server.restart();

  await using hub = followMap(opened.store, { clock: systemClock });
  await hub.map.whenCurrent(never);
  await writeRecords(opened.store, {
    "cluster.us": await by.admission("us", []),
    "gateway.eu.0": await by.statement(eu0, "eu", { generation: 2n }),
  });
  await hub.map.waitFor(5, never);
  const { lineage } = hub.map;
  const before = held(hub);

  await server.kill("SIGTERM");
  await rm(server.storeDirectory, { recursive: true });
  if (damage !== "emptied") await cp(copy, server.storeDirectory, { recursive: true });
  await server.restart();

  await expect.poll(() => stored(opened.store), soon).toEqual(before);
  await expect.poll(() => hub.map.isCurrent, soon).toBe(true);
  expect(held(hub)).toEqual(before);
  expect(hub.map.lineage).toBeGreaterThan(lineage);
});

test("deleted and purged keys come back, and agents see the delete marker's sequence", async () => {
  await using server = await startNats();
  await using opened = await openStore(server);
  await writeEu(opened.store);
  await using hub = followMap(opened.store, { clock: systemClock });
  await hub.map.whenCurrent(never);
  const before = held(hub);
  const tool = await connect({ servers: server.url });
  const kv = await new Kvm(tool).open("sw-map");
  await kv.delete("gateway.eu.0");
  await hub.map.waitFor(5, never);
  await kv.purge("cluster.eu");
  await expect.poll(() => stored(opened.store), soon).toEqual(before);
  expect(hub.incidents.map((each) => (each.kind === "lost" ? each.keys : each.kind))).toEqual([
    ["gateway.eu.0"],
    ["cluster.eu"],
  ]);
  expect(hub.map.sequence).toBe(7);
  await tool.close();
});
