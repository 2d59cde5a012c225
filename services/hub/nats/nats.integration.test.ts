import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { type GatewayRef, inboxPrefix, upSubject } from "@spanwire/core/subjects";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createNkeyPair, type NkeyPair } from "@spanwire/runtime/crypto/nkey";
import { generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { jwtAuthenticator } from "@spanwire/runtime/nats/authenticator";
import { connectNats } from "@spanwire/runtime/nats/connect";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { natsServerPath } from "../../../test/lab/nats-server.ts";
import { answerAgents, type Dropped } from "../distribution/answer.ts";
import { startNatsChild } from "../embedded/nats-child.ts";
import { createFakeSecretStore } from "../secrets/fake-secret-store.ts";
import { openNatsStateStore } from "../state/jetstream/nats-state-store.ts";
import type { StateStore } from "../state/port.ts";
import { by, followMap, root } from "../state/testing.ts";
import { type Bans, followBans } from "./ban-users.ts";
import { type HubConnections, openHubConnections } from "./hub-connections.ts";
import { type OwnOperator, openNatsOperator } from "./operator.ts";
import { renderServerConfig } from "./server-config.ts";

const EU: GatewayRef = { clusterId: "eu", ordinal: 0 };
const HOUR_MS = 3_600_000;
const PATIENT = { timeout: 20_000 };
const log = createRecordingLog();

let directory: string;
let operator: OwnOperator;
let url: string;
let hub: HubConnections;
let store: StateStore;
let bans: Bans;
const stop = new AbortController();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-hub-nats-"));
  operator = await openNatsOperator(createFakeSecretStore());
  const configFile = join(directory, "nats.conf");
  await writeFile(configFile, renderServerConfig({ operator, host: "127.0.0.1", port: -1, directory, tls: undefined }));
  const binary = await natsServerPath();
  ({ url } = await startNatsChild({
    binary,
    configFile,
    log,
    clock: systemClock,
    random: () => 0,
    signal: stop.signal,
  }));
  hub = await openHubConnections({ operator, servers: [url], caPem: undefined, log, signal: stop.signal });
  store = await openNatsStateStore({ connection: hub.state, clock: systemClock });
  const onFailure = (error: unknown) => log.error({ err: error }, "bans");
  bans = await followBans({
    registry: store.registry,
    operator,
    system: hub.system,
    clock: systemClock,
    onFailure,
    signal: stop.signal,
  });
});
afterAll(async () => {
  stop.abort();
  await rm(directory, { recursive: true, force: true });
});

describe("an agent", () => {
  const forbiddenToPublish = [
    "$JS.API.INFO",
    "$JS.API.STREAM.DELETE.KV_sw-map",
    "$JS.API.STREAM.PURGE.KV_sw-map",
    "$JS.API.CONSUMER.CREATE.KV_sw-map",
    "$JS.API.DIRECT.GET.KV_sw-registry.$KV.sw-registry.token.x",
    "$KV.sw-map.cluster.eu",
    "$KV.sw-registry.token.x",
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.SERVER.PING",
    "sw.v1.map.cluster.eu",
    "sw.v1.head",
    "sw.v1.up.us.0.statement",
    "sw.v1.up.eu.1.statement",
    "sw.v1.up.eu.0.other",
    "sw.v1.inbox.us.0.x",
    "sw.v1.inbox.eu.0.x",
    "sw.v1.peer.us.0.us.1",
    "sw.v1.client.us.x",
    "anything",
  ];
  test.each(forbiddenToPublish)("may not publish to %s", async (subject) => {
    await using agent = await connectAgent(EU);
    expect(await refusalOf(agent.nats, () => agent.nats.publish(subject, "x"))).toMatch(
      /Permissions Violation for Publish/,
    );
  });

  const forbiddenToSubscribe = [
    ">",
    "$JS.>",
    "$KV.>",
    "$SYS.>",
    "sw.v1.up.>",
    "sw.v1.up.us.0.status",
    "sw.v1.inbox.>",
    "sw.v1.inbox.us.0.>",
    "sw.v1.peer.us.0.>",
    "sw.v1.client.us.>",
    "_INBOX.>",
    "sw.v1.*",
  ];
  test.each(forbiddenToSubscribe)("may not subscribe to %s", async (subject) => {
    await using agent = await connectAgent(EU);
    expect(await refusalOf(agent.nats, () => agent.nats.subscribe(subject))).toMatch(
      /Permissions Violation for Subscription/,
    );
  });

  test("hears each write of the map with its sequence, and each delete marker", async () => {
    await using agent = await connectAgent(EU);
    const heard: { subject: string; sequence: string; length: number }[] = [];
    agent.nats.subscribe("sw.v1.map.>", {
      callback(_, { subject, headers, data }) {
        heard.push({ subject, sequence: headers?.get("Nats-Sequence") ?? "", length: data.length });
      },
    });
    await agent.nats.flush();
    const written = await store.map.put("novelty.a", new Uint8Array(5), { expectedRevision: 0 });
    await vi.waitUntil(() => heard.length === 1, PATIENT);
    const revision = written.ok ? written.revision : 0;
    expect(heard[0]).toEqual({ subject: "sw.v1.map.novelty.a", sequence: String(revision), length: 5 });
  });

  test("cannot make the hub write for it by naming a subject of ours as its inbox", async () => {
    const dropped: Dropped[] = [];
    await using following = followMap(store);
    const answering = new AbortController();
    const done = answerAgents({
      nats: hub.answer,
      map: following.map,
      bucket: store.map,
      clock: systemClock,
      onReport: () => undefined,
      onDropped: (each) => dropped.push(each),
      signal: answering.signal,
    });
    await hub.answer.flush();
    const before = await store.map.entries();
    await using agent = await connectAgent(EU);
    for (const reply of [
      "$KV.sw-map.cluster.eu",
      "sw.v1.head",
      "$JS.API.STREAM.PURGE.KV_sw-map",
      "sw.v1.inbox.us.0.x",
    ]) {
      agent.nats.publish(upSubject(EU, "snapshot"), new Uint8Array(), { reply });
    }
    await vi.waitUntil(() => dropped.length === 4, PATIENT);
    expect(new Set(dropped.map(({ reason }) => reason))).toEqual(new Set(["FOREIGN_REPLY"]));
    expect((await store.map.entries()).sequence).toBe(before.sequence);

    // Were the check not there, the answering user could still not write: it may publish to inboxes only.
    const refusal = await refusalOf(hub.answer, () => hub.answer.publish("$KV.sw-map.cluster.eu", "x"));
    expect(refusal).toMatch(/Permissions Violation for Publish/);
    answering.abort();
    await done;
  });

  test("is not let in with another's token", async () => {
    const user = newUser();
    const jwt = agentJwt(EU, user);
    const thief = newUser();
    const attempt = AbortSignal.timeout(1_500);
    const connecting = connectNats({
      servers: [url],
      name: "thief",
      authenticator: jwtAuthenticator({ jwt: () => jwt, user: thief }),
      log,
      signal: attempt,
    });
    await expect(connecting).rejects.toThrow();
  });
});

test("a banned user's connection is closed at once, and it does not come back", async () => {
  await using agent = await connectAgent({ clusterId: "us", ordinal: 0 });
  const closed = agent.nats.status();
  await bans.ban(agent.user.publicKey);
  for await (const { type } of closed) if (type === "disconnect") break;
  expect(bans.isBanned(agent.user.publicKey)).toBe(true);
  const again = connectNats({
    servers: [url],
    name: "again",
    authenticator: jwtAuthenticator({ jwt: () => agentJwt(EU, agent.user), user: agent.user }),
    log,
    signal: AbortSignal.timeout(1_500),
  });
  await expect(again).rejects.toThrow();
});

test("two hubs racing for overlapping admissions: one write wins", async () => {
  const sequence = await store.map.lastClustersSequence();
  const [eu, us] = await Promise.all([by.admission("eu", [root]), by.admission("us", [root])]);
  const expected = { expectedClustersSequence: sequence };
  const written = await Promise.all([
    store.map.putCluster("cluster.eu", eu, expected),
    store.map.putCluster("cluster.us", us, expected),
  ]);
  expect(written.map(({ ok }) => ok).sort()).toEqual([false, true]);
});

function newUser(): NkeyPair {
  return createNkeyPair("user", generateSigningKey().privateKey);
}

function agentJwt(gateway: GatewayRef, user: NkeyPair): string {
  const nowMs = systemClock.now();
  return operator.agentUserJwt(gateway, { nkey: user.publicKey, nowMs, expiresAtMs: nowMs + HOUR_MS });
}

async function connectAgent(gateway: GatewayRef) {
  const user = newUser();
  const end = new AbortController();
  const nats = await connectNats({
    servers: [url],
    name: `agent-${gateway.clusterId}`,
    inboxPrefix: inboxPrefix(gateway),
    authenticator: jwtAuthenticator({ jwt: () => agentJwt(gateway, user), user }),
    log,
    signal: end.signal,
  });
  return {
    nats,
    user,
    async [Symbol.asyncDispose]() {
      end.abort();
      await nats.closed();
    },
  };
}

/** What the server says to the act; throws when it says nothing within the test's time. */
async function refusalOf(nats: NatsConnection, act: () => unknown): Promise<string> {
  const status = nats.status();
  act();
  await nats.flush();
  for await (const event of status) if (event.type === "error") return event.error.message;
  throw new Error("the connection ended");
}
