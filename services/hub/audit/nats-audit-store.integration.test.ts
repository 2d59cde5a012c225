import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { AUDIT_STREAM } from "@spanwire/core/subjects";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type NatsServer, startNats } from "../../../test/lab/nats.ts";
import { openNatsStateStore } from "../state/jetstream/nats-state-store.ts";
import { describeAuditStore } from "./contract.ts";
import { createNatsAuditStore } from "./nats-audit-store.ts";
import { change, inspect, openTestLog } from "./testing.ts";

/** One for each test: the stream of an account is always the same. */
const ACCOUNTS = Array.from({ length: 10 }, (_, n) => `account${n}`);
const config = `accounts { ${ACCOUNTS.map((name) => `${name} { jetstream: enabled, users: [{ user: ${name}, password: p }] }`).join("\n")} }`;
const { signal } = new AbortController();

let server: NatsServer;
const connections: NatsConnection[] = [];
beforeAll(async () => {
  server = await startNats({ config });
});
afterAll(async () => {
  for (const connection of connections) await connection.close();
  await server[Symbol.asyncDispose]();
});

let used = 0;
async function openAccount() {
  const user = ACCOUNTS[used++] ?? "";
  const reconnect = { maxReconnectAttempts: -1, reconnectTimeWait: 20 };
  const connection = await connect({ servers: server.url, user, pass: "p", ...reconnect });
  connections.push(connection);
  return { connection, store: createNatsAuditStore({ connection }) };
}

describeAuditStore("the audit store in nats", async () => (await openAccount()).store);

async function openLog() {
  const { connection, store } = await openAccount();
  const { registry } = await openNatsStateStore({ connection, clock: systemClock });
  const manager = await jetstreamManager(connection);
  const open = (hub: string) => openTestLog({ store: createNatsAuditStore({ connection }), registry, hub });
  return { store, manager, open, log: await open("hub/1") };
}

test("three hubs at once write one whole chain", async () => {
  const { store, log, open } = await openLog();
  const hubs = [log, await open("hub/2"), await open("hub/3")];
  await Promise.all(
    hubs.map(async (hub, n) => {
      for (let entry = 0; entry < 15; entry++) await hub.append([change(`${n}.${entry}`)], signal);
    }),
  );
  expect(await inspect({ store, log })).toMatchObject({ problems: [], last: 45n });
});

test("one message cannot be deleted; where somebody allows it to himself, the gap is found", async () => {
  const { store, log, manager } = await openLog();
  for (const target of ["a", "b", "c"]) await log.append([change(target)], signal);
  await expect(manager.streams.deleteMessage(AUDIT_STREAM, 2, true)).rejects.toThrow(/delete not permitted/);
  await manager.streams.purge(AUDIT_STREAM, { seq: 3 }); // a beginning can be, and is found, too
  expect((await inspect({ store, log })).problems).toEqual([
    "entries 1 to 2 are missing, and the hub has not said that it removed them",
  ]);
});

test("a stream that somebody removed is made again, and the log says what it has lost", async () => {
  const { store, log, manager, open } = await openLog();
  for (const target of ["a", "b"]) await log.append([change(target)], signal);
  await log.remember();
  await manager.streams.delete(AUDIT_STREAM);
  const again = await open("hub/2");
  await again.append([change("c")], signal);
  expect(await inspect({ store, log: again })).toMatchObject({
    problems: [expect.stringMatching(/had gone up to entry 2; its store has lost what came after entry 0/)],
    entries: [{ action: "audit.lost" }, { target: "c" }],
  });
});

test("while the server is down a write fails in time, and afterwards is there once", async () => {
  const { store, log } = await openLog();
  await log.append([change("a")], signal);
  await server.kill();
  await expect(log.append([change("b")], signal)).rejects.toMatchObject({ retryable: true });
  await server.restart();
  await expect.poll(() => log.append([change("b")], signal).catch(() => 0)).toBe(1);
  const { problems, entries } = await inspect({ store, log });
  expect(problems).toEqual([]);
  expect(entries.map(({ target }) => target)).toEqual(["a", "b"]);
});
