import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { Secret } from "@spanwire/core/identity/secret";
import { SnapshotChunkSchema } from "@spanwire/proto/agent";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import {
  type AccountTokenOptions,
  encodeAccountJwt,
  encodeOperatorJwt,
  encodeUserJwt,
} from "@spanwire/runtime/crypto/nats-claims";
import { formatNatsCreds, parseNatsCreds } from "@spanwire/runtime/crypto/nats-creds";
import { createNkeyPair, encodeNkeySeed, type NkeyKind } from "@spanwire/runtime/crypto/nkey";
import { generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import { createTestCa } from "@spanwire/runtime/grpc/test-certificates";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { credsAuthenticator, jwtAuthenticator } from "@spanwire/runtime/nats/authenticator";
import { connectNats } from "@spanwire/runtime/nats/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startNats } from "../../../test/lab/nats.ts";
import { createFakeStateStore } from "../state/fake-state-store.ts";
import { openNatsStateStore } from "../state/jetstream/nats-state-store.ts";
import { CALL, createTestGateway, startHub } from "../testing.ts";
import { followBans, lookUpAccount } from "./ban-users.ts";
import { type ExternalKeys, openExternalOperator } from "./external-operator.ts";
import { openHubConnections } from "./hub-connections.ts";

const log = createRecordingLog();
const nowMs = Date.now();

let directory: string;
let stop: AbortController;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-external-"));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await rm(directory, { recursive: true });
});

function newKey(kind: NkeyKind) {
  const { privateKey } = generateSigningKey();
  return { ...createNkeyPair(kind, privateKey), seed: encodeNkeySeed(kind, privateKey) };
}

/** What an operator has who runs NATS for others: signing keys for daily use, limits, users of its own. */
function createOperator(account: Partial<AccountTokenOptions> = {}) {
  const [root, signing, system, mesh, meshSigning, systemUser, leaver] = [
    newKey("operator"),
    newKey("operator"),
    newKey("account"),
    newKey("account"),
    newKey("account"),
    newKey("user"),
    newKey("user"),
  ];
  const times = { nowMs: nowMs - 60_000 };
  const operatorJwt = encodeOperatorJwt(
    {
      subject: root.publicKey,
      name: "company",
      ...times,
      systemAccount: system.publicKey,
      signingKeys: [signing.publicKey],
    },
    root,
  );
  const accountJwt = encodeAccountJwt(
    {
      subject: mesh.publicKey,
      name: "network team",
      ...times,
      jetStream: { memoryBytes: 1e8, diskBytes: 1e9 },
      limits: { connections: 50 },
      signingKeys: [meshSigning.publicKey],
      revocations: new Map([[leaver.publicKey, nowMs]]),
      ...account,
    },
    signing,
  );
  const permissions = { publish: ["$SYS.REQ.>"], subscribe: ["_INBOX.>", "$SYS.ACCOUNT.>"] };
  const systemJwt = encodeUserJwt({ subject: systemUser.publicKey, name: "hub", ...times, permissions }, system);
  const keys: ExternalKeys = {
    account: mesh.publicKey,
    accountSeed: meshSigning.seed,
    operatorSeed: signing.seed,
    systemCreds: formatNatsCreds({ jwt: systemJwt, seed: systemUser.seed }),
  };
  const config = [
    `operator: ${operatorJwt}`,
    `system_account: ${system.publicKey}`,
    `resolver { type: full, dir: "${directory}/accounts" }`,
    `resolver_preload { ${system.publicKey}: ${encodeAccountJwt({ subject: system.publicKey, name: "SYS", ...times }, root)}`,
    `${mesh.publicKey}: ${accountJwt} }`,
  ].join("\n");
  return { keys, config, leaver: leaver.publicKey };
}

test("a mesh in one account of somebody else's NATS: state, users, bans; the rest of the account stays", async () => {
  const { keys, config, leaver } = createOperator();
  await using server = await startNats({ config });
  const operator = openExternalOperator(keys);
  const { signal } = stop;
  const hub = await openHubConnections({ operator, servers: [server.url], caPem: undefined, log, signal });
  const before = await lookUpAccount(hub.system, keys.account);
  operator.check(before);
  const store = await openNatsStateStore({ connection: hub.state, clock: systemClock });
  expect(await store.map.put("mesh", new Uint8Array(1), { expectedRevision: 0 })).toMatchObject({ ok: true });

  const user = newKey("user");
  const jwt = operator.agentUserJwt(
    { clusterId: "eu", ordinal: 0 },
    { nkey: user.publicKey, nowMs, expiresAtMs: nowMs + 60_000 },
  );
  const agent = await connectNats({
    servers: [server.url],
    name: "agent",
    authenticator: jwtAuthenticator({ jwt: () => jwt, user }),
    log,
    signal,
  });
  const onFailure = (error: unknown) => log.warn({ err: error }, "bans");
  const registry = createFakeStateStore().registry;
  const bans = await followBans({ registry, operator, system: hub.system, clock: systemClock, onFailure, signal });
  const statuses = agent.status();
  await bans.ban(user.publicKey);
  for await (const { type } of statuses) if (type === "disconnect") break;

  const after = await lookUpAccount(hub.system, keys.account);
  expect(Object.keys(after.nats["revocations"] ?? {}).sort()).toEqual([leaver, user.publicKey].sort());
  const { revocations: _, ...rest } = after.nats;
  const { revocations: __, ...restBefore } = before.nats;
  expect(rest).toEqual(restBefore);
});

test("a whole hub runs in that account, by URL and credentials, and bans who it revokes", async () => {
  const { keys, config } = createOperator();
  const testCa = await createTestCa();
  const certificate = await testCa.issue({});
  const file = (name: string) => join(directory, name);
  const files = {
    ca: testCa.caPem,
    crt: certificate.chainPem,
    key: certificate.privateKeyPem.reveal(),
    account: keys.accountSeed.reveal(),
    operator: keys.operatorSeed.reveal(),
    system: keys.systemCreds.reveal(),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(file(name), content, { mode: 0o600 });
  const tls = `tls { cert_file: "${file("crt")}", key_file: "${file("key")}" }`;
  await using server = await startNats({ config: `${config}\n${tls}` });
  await using hub = await startHub({
    dir: file("hub"),
    nats: {
      servers: [`tls://127.0.0.1:${server.port}`],
      caFile: file("ca"),
      account: {
        id: keys.account,
        seedFile: file("account"),
        operatorSeedFile: file("operator"),
        systemCredsFile: file("system"),
      },
    },
  });
  const gateway = createTestGateway();
  const token = await hub.token("eu");
  const { credentials } = await gateway.register(token, { prefixes: ["10.1.0.0/16"] });
  const agent = await connectNats({
    servers: credentials?.natsUrls ?? [],
    name: "agent",
    tls: { caPem: credentials?.natsCaPem ?? "" },
    authenticator: jwtAuthenticator({ jwt: () => credentials?.natsUserJwt ?? "", user: gateway.nkey }),
    inboxPrefix: "sw.v1.inbox.eu.0",
    log,
    signal: stop.signal,
  });
  const statuses = agent.status();
  const { data } = await agent.request("sw.v1.up.eu.0.snapshot", new Uint8Array(), { timeout: 60_000 });
  expect(fromBinary(SnapshotChunkSchema, data).entries.map(({ key }) => key)).toContain("cluster.eu");
  await hub.fleet.revokeCluster({ id: "eu", reason: "test" }, CALL);
  for await (const { type } of statuses) if (type === "disconnect") break;
});

describe("keys that do not fit are refused with what to do", () => {
  const ours = () => createOperator().keys;
  test.each([
    {
      name: "a user's key as the account",
      keys: () => ({ ...ours(), account: newKey("user").publicKey }),
      want: /not the public key of an account/,
    },
    {
      name: "the operator's seed for the account",
      keys: () => ({ ...ours(), accountSeed: ours().operatorSeed }),
      want: "nats account signing seed: is the seed of an operator, not of an account",
    },
    {
      name: "the account's seed for the operator",
      keys: () => ({ ...ours(), operatorSeed: ours().accountSeed }),
      want: "nats operator signing seed: is the seed of an account, not of an operator",
    },
    {
      name: "no credentials",
      keys: () => ({ ...ours(), systemCreds: new Secret(Buffer.from("x")) }),
      want: /holds no user token and seed/,
    },
  ])("$name", ({ keys, want }) => {
    expect(() => openExternalOperator(keys())).toThrow(want);
  });

  test.each([
    {
      name: "an account without storage",
      account: { jetStream: { memoryBytes: 0, diskBytes: 0 } },
      want: /no JetStream storage/,
    },
    { name: "an account with other signing keys", account: { signingKeys: [] }, want: /none of its signing keys/ },
  ])("$name", async ({ account, want }) => {
    const { keys, config } = createOperator(account);
    await using server = await startNats({ config });
    const operator = openExternalOperator(keys);
    const system = await connectNats({
      servers: [server.url],
      name: "system",
      authenticator: credsAuthenticator(parseNatsCreds(keys.systemCreds)),
      log,
      signal: stop.signal,
    });
    const claims = await lookUpAccount(system, keys.account);
    expect(() => operator.check(claims)).toThrow(want);
  });
});
