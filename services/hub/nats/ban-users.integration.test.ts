import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "@spanwire/core/time";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createNkeyPair, type NkeyPair } from "@spanwire/runtime/crypto/nkey";
import { generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { jwtAuthenticator } from "@spanwire/runtime/nats/authenticator";
import { connectNats } from "@spanwire/runtime/nats/connect";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type NatsServer, startNats } from "../../../test/lab/nats.ts";
import { createFakeSecretStore } from "../secrets/fake-secret-store.ts";
import { createFakeStateStore, type FakeStateStore } from "../state/fake-state-store.ts";
import { followBans, lookUpAccount } from "./ban-users.ts";
import { type HubConnections, openHubConnections } from "./hub-connections.ts";
import { type OwnOperator, openNatsOperator } from "./operator.ts";

const DAY_MS = 86_400_000;
const soon = { timeout: 60_000 };
const log = createRecordingLog();

let directory: string;
let operator: OwnOperator;
let server: NatsServer;
let store: FakeStateStore;
let stop: AbortController;
let hub: HubConnections;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-bans-"));
  operator = await openNatsOperator(createFakeSecretStore());
  server = await startNats({ config: config() });
  store = createFakeStateStore();
  stop = new AbortController();
  hub = await openHubConnections({ operator, servers: [server.url], caPem: undefined, log, signal: stop.signal });
});
afterEach(async () => {
  stop.abort();
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

test("bans in the same second, and by two hubs at once, all hold", async () => {
  const [one, two] = [await follow(), await follow()];
  const users = await Promise.all([1, 2, 3, 4].map(() => connectUser()));
  await Promise.all(users.map(({ user }, n) => (n % 2 === 0 ? one : two).ban(user.publicKey)));
  await expect.poll(() => refused(), soon).toEqual(names(users));
  await Promise.all(users.map(({ cut }) => cut));
});

test("a hub whose clock is behind can ban", async () => {
  const ahead = await follow();
  const first = await connectUser();
  await ahead.ban(first.user.publicKey);
  const behind = await follow({ ...systemClock, now: () => Date.now() - 3_600_000 });
  const second = await connectUser();
  await behind.ban(second.user.publicKey);
  await second.cut;
  expect(await refused()).toEqual(names([first, second]));
});

test("a ban outlives a restart of the server, and a server that forgot is told again", async () => {
  const bans = await follow();
  const { user, cut } = await connectUser();
  await bans.ban(user.publicKey);
  await cut;
  await restart();
  expect(await refused()).toEqual([user.publicKey]);

  await restart(config("made-anew"));
  await expect.poll(() => refused(), soon).toEqual([user.publicKey]);
});

test("a ban that the registry lost is written again", async () => {
  const bans = await follow();
  const { user } = await connectUser();
  await bans.ban(user.publicKey);
  store.registryStore.rollBack();
  await expect.poll(() => store.registry.list("ban."), soon).toHaveLength(1);
  expect(bans.isBanned(user.publicKey)).toBe(true);
});

test("a user whose tokens have all expired stays banned without being named to the server", async () => {
  const old = newUser().publicKey;
  await store.registry.create(`ban.${old}`, new TextEncoder().encode(String(Date.now() - 30 * DAY_MS)));
  const bans = await follow();
  expect(bans.isBanned(old)).toBe(true);
  expect(await refused()).toEqual([]);

  const recent = newUser().publicKey;
  await bans.ban(recent);
  const later = await follow({ ...systemClock, now: () => Date.now() + 30 * DAY_MS });
  expect(await refused()).toEqual([]);
  expect(later.isBanned(recent)).toBe(true);
});

async function restart(changed = config()): Promise<void> {
  const back = firstStatus(hub.system, "reconnect");
  await server.restart(changed);
  await back;
}

function config(name = "accounts"): string {
  return [
    `operator: ${operator.operatorJwt}`,
    `system_account: ${operator.systemAccount}`,
    `resolver { type: full, dir: "${directory}/${name}", allow_delete: false }`,
    `resolver_preload { ${operator.systemAccount}: ${operator.systemAccountJwt}`,
    `${operator.meshAccount}: ${operator.meshAccountJwt} }`,
  ].join("\n");
}

function follow(clock: Clock = systemClock) {
  const onFailure = (error: unknown) => log.warn({ err: error }, "bans");
  return followBans({ registry: store.registry, operator, system: hub.system, clock, onFailure, signal: stop.signal });
}

/** Whom the server refuses, sorted. */
async function refused(): Promise<string[]> {
  const { nats } = await lookUpAccount(hub.system, operator.meshAccount).catch(() => ({ nats: {} }));
  const { revocations = {} } = nats as { revocations?: object };
  return Object.keys(revocations).sort();
}

function names(users: readonly { readonly user: NkeyPair }[]): string[] {
  return users.map(({ user }) => user.publicKey).sort();
}

function newUser(): NkeyPair {
  return createNkeyPair("user", generateSigningKey().privateKey);
}

async function connectUser() {
  const user = newUser();
  const times = { nowMs: Date.now(), expiresAtMs: Date.now() + DAY_MS };
  const jwt = operator.agentUserJwt({ clusterId: "eu", ordinal: 0 }, { nkey: user.publicKey, ...times });
  const nats = await connectNats({
    servers: [server.url],
    name: "agent",
    authenticator: jwtAuthenticator({ jwt: () => jwt, user }),
    log,
    signal: stop.signal,
  });
  return { user, cut: firstStatus(nats, "disconnect") };
}

async function firstStatus(nats: NatsConnection, wanted: "disconnect" | "reconnect"): Promise<void> {
  for await (const { type } of nats.status()) if (type === wanted) return;
}
