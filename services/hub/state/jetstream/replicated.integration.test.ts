import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { NatsServer } from "../../../../test/lab/nats.ts";
import { startNatsCluster } from "../../../../test/lab/nats-cluster.ts";
import type { StateStore, Written } from "../port.ts";
import { by, followMap, online } from "../testing.ts";
import { streamOf } from "./bucket-config.ts";
import { openNatsStateStore } from "./nats-state-store.ts";

const never = new AbortController().signal;
const soon = { timeout: 60_000, interval: 100 };

let servers: readonly NatsServer[];
beforeAll(async () => {
  servers = await startNatsCluster(3);
});
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
});

async function openOnce() {
  const connection = await connect({
    servers: servers.map(({ url }) => url),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
    pingInterval: 1_000,
    ignoreClusterUpdates: true,
  });
  try {
    const store = await openNatsStateStore({ connection, replicas: 3, clock: systemClock, timeoutMs: 2_000 });
    return { connection, store, [Symbol.asyncDispose]: () => connection.close() };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** A cluster that has just begun elects its leaders first. */
async function open(): Promise<Awaited<ReturnType<typeof openOnce>>> {
  const opened: Awaited<ReturnType<typeof openOnce>>[] = [];
  await expect
    .poll(async () => {
      opened.push(await openOnce());
      return opened.length;
    }, soon)
    .toBe(1);
  const [first] = opened;
  if (first === undefined) throw new Error("not opened");
  return first;
}

test("with three copies: one of two racing admissions is stored, and the leader's death loses nothing and is no new lineage", async () => {
  await using one = await open();
  await using two = await open();
  const { map } = one.store;
  expect(await map.put("delegation", await by.delegation(online), { expectedRevision: 0 })).toMatchObject({ ok: true });
  await using hub = followMap(two.store, { clock: systemClock });
  await hub.map.whenCurrent(never);
  const { lineage } = hub.map;

  const stored: string[] = [];
  for (let round = 0; round < 20; round++) {
    if (round === 10) await killLeader(one.connection);
    stored.push(...(await raceOnce(one.store, two.store, round)));
  }
  expect(stored).toHaveLength(20);

  await expect.poll(() => [...hub.map.records.admissions.keys()].sort(), soon).toEqual([...stored].sort());
  expect(hub.map.lineage).toBe(lineage);
  expect(hub.incidents.filter(({ kind }) => kind !== "unavailable")).toEqual([]);
  expect((await map.list("cluster.")).length).toBe(20);
});

/** Both hubs admit from the same view, again while the store is away; gives the ids that were stored. */
async function raceOnce(one: StateStore, two: StateStore, round: number): Promise<string[]> {
  const stored: string[] = [];
  await expect
    .poll(async () => {
      const expected = { expectedClustersSequence: await one.map.lastClustersSequence() };
      const ids = [`a${round}`, `b${round}`];
      const results = await Promise.all(
        [one, two].map(async ({ map }, n): Promise<Written | undefined> => {
          const id = ids[n] ?? "";
          return map.putCluster(`cluster.${id}`, await by.admission(id, []), expected).catch(() => undefined);
        }),
      );
      // An unknown outcome is found out by reading.
      for (const [n, result] of results.entries()) {
        const id = ids[n] ?? "";
        const isStored = result?.ok ?? (await one.map.get(`cluster.${id}`)) !== undefined;
        if (isStored && !stored.includes(id)) stored.push(id);
      }
      return stored.length;
    }, soon)
    .toBe(1);
  return stored;
}

async function killLeader(connection: Awaited<ReturnType<typeof connect>>): Promise<void> {
  const manager = await jetstreamManager(connection);
  const { cluster } = await manager.streams.info(streamOf("sw-map"));
  await servers[Number(cluster?.leader?.slice(1))]?.kill();
}
