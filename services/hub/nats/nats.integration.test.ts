import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Authenticator, NatsConnection } from "@nats-io/transport-node";
import { agentPermissions, type GatewayRef, inboxPrefix, upSubject } from "@spanwire/core/subjects";
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
import { readStoreFacts } from "../state/jetstream/read-store-facts.ts";
import type { StateStore } from "../state/port.ts";
import { by, followMap, root } from "../state/testing.ts";
import { type Bans, followBans } from "./ban-users.ts";
import { type HubConnections, openHubConnections } from "./hub-connections.ts";
import { type OwnOperator, openNatsOperator } from "./operator.ts";
import { renderServerConfig } from "./server-config.ts";

const EU: GatewayRef = { clusterId: "eu", ordinal: 0 };
const HOUR_MS = 3_600_000;
const PATIENT = { timeout: 60_000 };
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

/** What agent eu/0 may do with each subject of the contract, and with those of the server itself. */
const SUBJECTS: readonly { readonly subject: string; readonly may: "publish" | "subscribe" | "nothing" }[] = [
  ...may("subscribe", "sw.v1.map.cluster.eu", "sw.v1.head", "sw.v1.inbox.eu.0.x", "sw.v1.client.eu.x"),
  ...["snapshot", "statement", "export", "applied", "status"].flatMap((kind) => [
    ...may("publish", `sw.v1.up.eu.0.${kind}`),
    ...may("nothing", `sw.v1.up.eu.1.${kind}`, `sw.v1.up.us.0.${kind}`),
  ]),
  ...may("nothing", "sw.v1.up.eu.0.other", "sw.v1.up.eu.0", "sw.v1.inbox.eu.1.x", "sw.v1.inbox.us.0.x"),
  ...may("publish", "sw.v1.peer.us.0.eu.0", "sw.v1.peer.eu.1.eu.0"),
  ...may("subscribe", "sw.v1.peer.eu.0.us.0"),
  // Between others, in a sibling's name, to a sibling.
  ...may("nothing", "sw.v1.peer.us.0.us.1", "sw.v1.peer.us.0.eu.1", "sw.v1.peer.eu.1.us.0"),
  ...may("nothing", "sw.v1.client.us.x", "sw.v1.other", "sw.v1.audit", "_INBOX.x", "anything"),
  ...["sw-map", "sw-registry", "sw-client", "sw-status", "sw-audit"].flatMap((bucket) =>
    may(
      "nothing",
      `$KV.${bucket}.token.x`,
      ...["STREAM.CREATE", "STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.GET", "CONSUMER.CREATE"].map(
        (act) => `$JS.API.${act}.KV_${bucket}`,
      ),
      `$JS.API.DIRECT.GET.KV_${bucket}.$KV.${bucket}.token.x`,
    ),
  ),
  ...may("nothing", "$JS.API.INFO", "$JS.ACK.KV_sw-map.x", "$JS.FC.x", "$JS.EVENT.ADVISORY.x", "$SRV.PING"),
  ...may("nothing", "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.INFO", "$SYS.ACCOUNT.x.CONNECT"),
];
const WILDCARDS = [
  ">",
  "*.>",
  "sw.>",
  "sw.v1.*",
  "sw.v1.up.>",
  "sw.v1.inbox.>",
  "sw.v1.inbox.eu.>",
  "sw.v1.inbox.us.0.>",
  "sw.v1.peer.>",
  "sw.v1.peer.eu.>",
  "sw.v1.client.>",
  "sw.v1.client.us.>",
  "$JS.>",
  "$KV.>",
  "$SYS.>",
  "_INBOX.>",
];

function may(what: (typeof SUBJECTS)[number]["may"], ...subjects: string[]) {
  return subjects.map((subject) => ({ subject, may: what }));
}

describe("an agent", () => {
  let asking: Awaited<ReturnType<typeof connectAgent>>;
  beforeAll(async () => {
    asking = await connectAgent(EU);
  });
  afterAll(() => asking[Symbol.asyncDispose]());
  const tryPublish = (subject: string) => refusalOf(asking.nats, () => asking.nats.publish(subject, "x"));
  const trySubscribe = (subject: string) => refusalOf(asking.nats, () => asking.nats.subscribe(subject));

  test.each(SUBJECTS)("may do $may with $subject", async ({ subject, may: allowed }) => {
    const violation = (of: string) => expect.stringContaining(`Permissions Violation for ${of} "${subject}"`);
    expect(await tryPublish(subject)).toEqual(allowed === "publish" ? undefined : violation("Publish to"));
    expect(await trySubscribe(subject)).toEqual(allowed === "subscribe" ? undefined : violation("Subscription to"));
  });

  test.each(WILDCARDS)("may not subscribe to %s", async (subject) => {
    expect(await trySubscribe(subject)).toMatch(/Permissions Violation for Subscription/);
  });

  test("has no permission that is not among these", () => {
    const { publish, subscribe } = agentPermissions(EU);
    for (const [verdict, patterns] of [["publish", publish] as const, ["subscribe", subscribe] as const]) {
      const tried = SUBJECTS.filter(({ may: allowed }) => allowed === verdict).map(({ subject }) => subject);
      expect(patterns.filter((pattern) => !tried.some((subject) => matches(pattern, subject)))).toEqual([]);
    }
  });

  test("may not send more in one message, nor listen to more subjects, than its quota", async () => {
    await using patient = await connectAgent(EU);
    const listen = () => {
      for (let at = 0; at < 65; at++) patient.nats.subscribe(`sw.v1.inbox.eu.0.${at}`);
    };
    expect(await refusalOf(patient.nats, listen)).toMatch(/maximum subscriptions exceeded/i);
    expect(asking.nats.info?.max_payload).toBe(128 * 1024);
    expect(() => asking.nats.publish(upSubject(EU, "status"), new Uint8Array(128 * 1024 + 1))).toThrow(/max_payload/);
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
    await using victim = await connectAgent({ clusterId: "us", ordinal: 0 });
    const heard: string[] = [];
    victim.nats.subscribe("sw.v1.inbox.us.0.>", { callback: (_, { subject }) => void heard.push(subject) });
    await victim.nats.flush();
    await using agent = await connectAgent(EU);
    const kinds = ["snapshot", "statement", "export", "applied", "status"] as const;
    const replies = [
      "$KV.sw-map.cluster.eu",
      "$KV.sw-registry.token.x",
      "$JS.API.STREAM.PURGE.KV_sw-map",
      "$SYS.REQ.CLAIMS.UPDATE",
      "sw.v1.head",
      "sw.v1.map.cluster.eu",
      "sw.v1.up.us.0.statement",
      "sw.v1.inbox.us.0.x",
      "sw.v1.inbox.eu.1.x",
      "sw.v1.inbox.eu.00.x",
      "sw.v1.inbox.eu.0",
      "_INBOX.x",
    ];
    for (const kind of kinds) for (const reply of replies) agent.nats.publish(upSubject(EU, kind), "x", { reply });
    const foreign = () => dropped.filter(({ reason }) => reason === "FOREIGN_REPLY").map(({ subject }) => subject);
    await vi.waitUntil(() => foreign().length === 2 * replies.length, PATIENT);
    expect(new Set(foreign())).toEqual(new Set([upSubject(EU, "snapshot"), upSubject(EU, "statement")]));
    await Promise.all([hub.answer.flush(), victim.nats.flush()]);
    expect((await store.map.entries()).sequence).toBe(before.sequence);
    expect(heard).toEqual([]);

    answering.abort();
    await done;
  });

  test("is not let in with another's token", async () => {
    const user = newUser();
    const jwt = agentJwt(EU, user);
    const thief = newUser();
    await expectShutOut(jwtAuthenticator({ jwt: () => jwt, user: thief }));
  });
});

describe("of the hub's own users", () => {
  test.each([
    { role: "state", publish: "sw.v1.inbox.eu.0.x" },
    { role: "state", publish: "sw.v1.map.cluster.eu" },
    { role: "state", publish: "sw.v1.up.eu.0.statement" },
    { role: "state", publish: "$SYS.REQ.CLAIMS.UPDATE" },
    { role: "answer", publish: "$KV.sw-map.cluster.eu" },
    { role: "answer", publish: "$KV.sw-registry.token.x" },
    { role: "answer", publish: "$JS.API.STREAM.PURGE.KV_sw-map" },
    { role: "answer", publish: "sw.v1.head" },
    { role: "answer", publish: "sw.v1.audit" },
    { role: "answer", publish: "sw.v1.map.cluster.eu" },
    { role: "system", publish: "$SYS.REQ.CLAIMS.DELETE" },
    { role: "system", publish: "$KV.sw-map.cluster.eu" },
  ] as const)("$role may not publish to $publish", async ({ role, publish }) => {
    expect(await refusalOf(hub[role], () => hub[role].publish(publish, "x"))).toMatch(/Violation for Publish/);
  });

  test.each([
    { role: "state", subscribe: "sw.v1.up.>" },
    { role: "answer", subscribe: "$KV.>" },
    { role: "answer", subscribe: "sw.v1.inbox.>" },
    { role: "system", subscribe: ">" },
  ] as const)("$role may not subscribe to $subscribe", async ({ role, subscribe }) => {
    expect(await refusalOf(hub[role], () => hub[role].subscribe(subscribe))).toMatch(/Violation for Subscription/);
  });
});

test("the embedded server syncs each write, as the hub's system user can read", async () => {
  const { syncsAlways } = await readStoreFacts({ ...hub, clock: systemClock });
  expect([...syncsAlways]).toEqual([["spanwire", true]]);
});

test("a banned user's connection is closed at once, and it does not come back", async () => {
  await using agent = await connectAgent({ clusterId: "us", ordinal: 0 });
  const closed = agent.nats.status();
  await bans.ban(agent.user.publicKey);
  for await (const { type } of closed) if (type === "disconnect") break;
  expect(bans.isBanned(agent.user.publicKey)).toBe(true);
  await expectShutOut(jwtAuthenticator({ jwt: () => agentJwt(EU, agent.user), user: agent.user }));
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

/** It tries for ever, and the server refuses it each time. */
async function expectShutOut(authenticator: Authenticator): Promise<void> {
  const own = createRecordingLog();
  const giveUp = new AbortController();
  const connecting = connectNats({ servers: [url], name: "shut out", authenticator, log: own, signal: giveUp.signal });
  connecting.catch(() => {}); // looked at below
  const refusals = () => own.events.filter(({ fields }) => `${fields["err"]}`.includes("Authorization Violation"));
  await vi.waitUntil(() => refusals().length > 1, PATIENT);
  giveUp.abort(new Error("enough"));
  await expect(connecting).rejects.toThrow("enough");
}

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

/** What the server says to the act, or undefined when it has nothing to say. */
async function refusalOf(nats: NatsConnection, act: () => unknown): Promise<string | undefined> {
  const status = nats.status();
  act();
  // Nobody may do this, so that the answer to it comes after any other.
  nats.publish(MARKER, "");
  await nats.flush();
  for await (const event of status) {
    if (event.type === "error") return event.error.message.includes(MARKER) ? undefined : event.error.message;
  }
  throw new Error("the connection ended");
}

const MARKER = "$SYS.nobody.may";

/** As NATS matches: `*` is one token, a last `>` one or more. */
function matches(pattern: string, subject: string): boolean {
  const tokens = subject.split(".");
  return pattern.split(".").every((part, at, parts) => {
    if (part === ">") return tokens.length >= parts.length;
    return (part === "*" || part === tokens[at]) && (at < parts.length - 1 || tokens.length === parts.length);
  });
}
