import { create, toBinary } from "@bufbuild/protobuf";
import { formatJoinToken, type JoinToken, parseJoinToken } from "@spanwire/core/identity/join-token";
import { Secret } from "@spanwire/core/identity/secret";
import { ClusterKind } from "@spanwire/proto/record";
import { RegistrationSchema, RegistrationService, RenewalSchema } from "@spanwire/proto/registration";
import { openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient } from "@spanwire/runtime/grpc/client";
import { fetchPinnedChain } from "@spanwire/runtime/grpc/pin";
import { createTestCa } from "@spanwire/runtime/grpc/test-certificates";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  CALL,
  createTestGateway,
  encodeWish,
  makeDirectory,
  openRegistration,
  type ProvenCall,
  type RegistrationClient,
  type RunningHub,
  startHub,
  type TestGateway,
} from "../testing.ts";

let hub: RunningHub;
beforeAll(async () => {
  hub = await startHub({ mesh: { maxGateways: 4 } });
});
afterAll(() => hub?.[Symbol.asyncDispose]());

let clusters = 0;
/** A cluster of its own for each test, with a prefix of its own. */
let eu: { readonly id: string; readonly wish: { readonly prefixes: string[] } };
beforeEach(() => {
  clusters += 1;
  eu = { id: `c${clusters}`, wish: { prefixes: [`10.${clusters}.0.0/16`] } };
});

const findCluster = async (id: string) => (await hub.fleet.getCluster({ id }, CALL)).cluster;

test("of 50 gateways with one token at once one joins, and its retries get the same answer", async () => {
  const token = await hub.token(eu.id);
  const gateways = Array.from({ length: 50 }, createTestGateway);
  const answers = await Promise.allSettled(gateways.map((gateway) => gateway.register(token, eu.wish)));
  const winners = gateways.filter((_, index) => answers[index]?.status === "fulfilled");
  expect(winners).toHaveLength(1);
  const refusals = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason.reason] : []));
  expect(new Set(refusals)).toEqual(new Set(["TOKEN_ALREADY_USED"]));
  const retries = await Promise.all(
    Array.from({ length: 5 }, () => (winners[0] ?? createTestGateway()).register(token, eu.wish)),
  );
  for (const retry of retries) expect(retry).toMatchObject({ ordinal: 0, incarnation: 1n });
  expect((await findCluster(eu.id))?.gateways).toHaveLength(1);
});

test("an answer that was lost is given again", async () => {
  const token = await hub.token(eu.id);
  const gateway = createTestGateway();
  using client = await openRegistration(token);
  const call = await gateway.prove(client, "Register", encodeWish(token, gateway.nkey, eu.wish));
  const cut = new AbortController();
  const lost = client.register(call, { ...CALL, signal: cut.signal });
  await expect.poll(() => findCluster(eu.id).catch(() => undefined)).toBeDefined();
  cut.abort(new Error("cut"));
  await lost.catch(() => {});
  expect(await client.register(call, CALL)).toMatchObject({ ordinal: 0, incarnation: 1n });
  expect(await gateway.register(token, eu.wish)).toMatchObject({ ordinal: 0, incarnation: 1n });
});

test("the secret does not leave a gateway that meets another CA, and another hub cannot be reached with this one's", async () => {
  const token = await hub.token(eu.id);
  const other = { ...token, caSpkiSha256: new Uint8Array(32) };
  await expect(openRegistration(other)).rejects.toMatchObject({ reason: "PIN_MISMATCH" });
  const { caPem } = await createTestCa();
  using channel = openChannel({ address: token.hubAddress, tls: { caPem } });
  await expect(createClient(RegistrationService, channel).challenge({}, CALL)).rejects.toMatchObject({
    code: "unavailable",
  });
});

test("the token of the API is what the agent reads, and its pin is found in the chain", async () => {
  const token = await hub.token(eu.id);
  expect(parseJoinToken(Buffer.from(formatJoinToken(token).reveal()).toString())).toEqual(token);
  const signal = AbortSignal.timeout(60_000);
  const caPem = await fetchPinnedChain({ address: token.hubAddress, spkiSha256: token.caSpkiSha256, signal });
  expect(caPem.trim()).toBe(hub.context.caPem.trim());
});

test("refuses a token that expired, was used, was revoked, or is nobody's", async () => {
  const gateway = createTestGateway();
  const expired = await hub.token(eu.id, { ttl: { seconds: 0n, nanos: 1_000_000 } });
  await expect(gateway.register(expired, eu.wish)).rejects.toMatchObject({
    code: "unauthenticated",
    reason: "TOKEN_EXPIRED",
  });
  const used = await hub.token(eu.id);
  await gateway.register(used, eu.wish);
  await expect(createTestGateway().register(used, eu.wish)).rejects.toMatchObject({ reason: "TOKEN_ALREADY_USED" });
  const revoked = await hub.token(eu.id);
  await hub.fleet.revokeToken({ id: revoked.id }, CALL);
  await expect(createTestGateway().register(revoked)).rejects.toMatchObject({ reason: "TOKEN_REVOKED" });
  const unknown = { ...used, id: "0000000000000000" };
  const forged = { ...used, secret: new Secret(new Uint8Array(32)) };
  const answers = await Promise.all(
    [unknown, forged].map((token) =>
      createTestGateway()
        .register(token)
        .catch((error: Error) => error.message),
    ),
  );
  expect(answers[0]).toBe(answers[1]);
  expect(answers[0]).toMatch(/not one of this hub; create one with: spanwire token create/);
});

test("names both clusters and both prefixes where they overlap", async () => {
  await createTestGateway().register(await hub.token(eu.id), eu.wish);
  const other = createTestGateway().register(await hub.token(`${eu.id}-b`), {
    prefixes: [eu.wish.prefixes[0]?.replace("0.0/16", "7.0/24") ?? ""],
  });
  await expect(other).rejects.toThrow(
    `prefix 10.${clusters}.7.0/24 of cluster "${eu.id}-b" overlaps 10.${clusters}.0.0/16 of cluster "${eu.id}"`,
  );
});

test("renews with the identity alone, and not once the gateway has left", async () => {
  const gateway = createTestGateway();
  const token = await hub.token(eu.id);
  const joined = await gateway.register(token, eu.wish);
  const renewed = await gateway.renew(token);
  expect(renewed.credentials).toMatchObject({
    meshId: joined.credentials?.meshId,
    authorityKey: joined.credentials?.authorityKey,
  });
  await expect(createTestGateway().renew(token)).rejects.toMatchObject({ reason: "UNKNOWN_GATEWAY" });
  await gateway.leave(token);
  await gateway.leave(token);
  await expect(gateway.renew(token)).rejects.toMatchObject({ code: "denied" });
});

test("a revocation wins against renewals that race it", async () => {
  const gateway = createTestGateway();
  const token = await hub.token(eu.id);
  await gateway.register(token, eu.wish);
  const [renewals] = await Promise.all([
    Promise.allSettled(Array.from({ length: 20 }, () => gateway.renew(token))),
    hub.fleet.revokeGateway({ clusterId: eu.id, ordinal: 0 }, CALL),
  ]);
  const refusals = renewals.flatMap((each) => (each.status === "rejected" ? [each.reason.code] : []));
  expect(new Set([...refusals, "denied"])).toEqual(new Set(["denied"]));
  await expect(gateway.renew(token)).rejects.toMatchObject({ code: "denied" });
  await expect(gateway.register(token, eu.wish)).rejects.toMatchObject({ reason: "TOKEN_REVOKED" });
});

test("a deleted id that is used again goes on above its orders", async () => {
  await createTestGateway().register(await hub.token(eu.id), eu.wish);
  await hub.fleet.deleteCluster({ id: eu.id }, CALL);
  const again = await createTestGateway().register(await hub.token(eu.id), eu.wish);
  expect(again.incarnation).toBe(3n);
  expect((await findCluster(eu.id))?.incarnation).toBe(3n);
});

test("limits how often one address calls", async () => {
  await using limited = await makeDirectory();
  await using other = await startHub({ dir: limited.path, limits: { callsPerSecond: 1, callBurst: 3 } });
  using client = await openRegistration(await other.token("eu"));
  const calls = await Promise.allSettled(Array.from({ length: 4 }, () => client.challenge({}, CALL)));
  expect(calls.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
  expect(calls[3]).toMatchObject({ reason: { code: "exhausted", reason: "RATE_LIMITED", retryable: true } });
});

interface Sent {
  readonly client: RegistrationClient;
  readonly gateway: TestGateway;
  readonly token: JoinToken;
}

/** Registers with a body that a client of ours would not send. */
async function send({ client, gateway, token }: Sent, change: object): Promise<unknown> {
  const shown = { id: token.id, secret: new Uint8Array(token.secret.reveal()) };
  const wish = { clusterId: token.clusterId, kind: ClusterKind.VM, nkey: gateway.nkey.publicKey, token: shown };
  const body = toBinary(RegistrationSchema, create(RegistrationSchema, { ...wish, ...eu.wish, ...change }));
  return client.register(await gateway.prove(client, "Register", body), CALL);
}

async function sendRaw(sent: Sent, change: (call: ProvenCall) => object): Promise<unknown> {
  const { client, gateway, token } = sent;
  const call = await gateway.prove(client, "Register", encodeWish(token, gateway.nkey, eu.wish));
  return client.register({ ...call, ...change(call) }, CALL);
}

const INVALID = "INVALID_REQUEST";
const many = (count: number, of: (index: number) => string) => Array.from({ length: count }, (_, index) => of(index));

describe("refuses, and changes nothing:", () => {
  const cases: { name: string; reason: string; bad: (sent: Sent) => Promise<unknown> }[] = [
    { name: "an empty request", reason: INVALID, bad: ({ client }) => client.register({}, CALL) },
    { name: "no proof", reason: INVALID, bad: (sent) => sendRaw(sent, () => ({ proof: undefined })) },
    { name: "no body", reason: INVALID, bad: (sent) => sendRaw(sent, () => ({ body: new Uint8Array() })) },
    {
      name: "a body of 40 kB",
      reason: INVALID,
      bad: (sent) => sendRaw(sent, () => ({ body: new Uint8Array(40_000) })),
    },
    {
      name: "a body that was changed on the way",
      reason: "BAD_PROOF",
      bad: (sent) => sendRaw(sent, ({ body }) => ({ body: new Uint8Array([...body, 0x40, 1]) })),
    },
    {
      name: "a nonce of its own",
      reason: "BAD_PROOF",
      bad: (sent) => sendRaw(sent, ({ proof }) => ({ proof: { ...proof, nonce: new Uint8Array(40) } })),
    },
    {
      name: "a nonce of 1 kB",
      reason: INVALID,
      bad: (sent) => sendRaw(sent, ({ proof }) => ({ proof: { ...proof, nonce: new Uint8Array(1_000) } })),
    },
    {
      name: "somebody else's key",
      reason: "BAD_PROOF",
      bad: (sent) =>
        sendRaw(sent, ({ proof }) => ({
          proof: { ...proof, identityKey: new Uint8Array(createTestGateway().signer.publicKey) },
        })),
    },
    {
      name: "a key that is no point of the curve",
      reason: "BAD_PROOF",
      bad: (sent) =>
        sendRaw(sent, ({ proof }) => ({ proof: { ...proof, identityKey: new Uint8Array(32).fill(0xff) } })),
    },
    {
      name: "a short signature",
      reason: INVALID,
      bad: (sent) => sendRaw(sent, ({ proof }) => ({ proof: { ...proof, signature: new Uint8Array(63) } })),
    },
    {
      name: "a body that is no Registration",
      reason: INVALID,
      bad: async ({ client, gateway }) =>
        client.register(await gateway.prove(client, "Register", new Uint8Array([0xff, 0xff])), CALL),
    },
    {
      name: "the body of Renew",
      reason: INVALID,
      bad: async ({ client, gateway }) => {
        const body = toBinary(RenewalSchema, create(RenewalSchema, { clusterId: "eu", ordinal: 1 }));
        return client.register(await gateway.prove(client, "Register", body), CALL);
      },
    },
    {
      name: "a proof for another method",
      reason: "BAD_PROOF",
      bad: async ({ client, gateway, token }) =>
        client.register(await gateway.prove(client, "Renew", encodeWish(token, gateway.nkey, {})), CALL),
    },
    { name: "no token", reason: INVALID, bad: (sent) => send(sent, { token: undefined }) },
    {
      name: "a token id that is a subject",
      reason: INVALID,
      bad: (sent) => send(sent, { token: { id: "a.b.c.d.e.f.g.>>", secret: new Uint8Array(32) } }),
    },
    {
      name: "an empty secret",
      reason: INVALID,
      bad: (sent) => send(sent, { token: { id: sent.token.id, secret: new Uint8Array() } }),
    },
    {
      name: "another cluster than the token's",
      reason: "TOKEN_WRONG_CLUSTER",
      bad: (sent) => send(sent, { clusterId: "other" }),
    },
    { name: "an empty cluster id", reason: INVALID, bad: (sent) => send(sent, { clusterId: "" }) },
    { name: "a cluster id with a wildcard", reason: INVALID, bad: (sent) => send(sent, { clusterId: "*" }) },
    { name: "a cluster id that is a path", reason: INVALID, bad: (sent) => send(sent, { clusterId: "../x" }) },
    { name: "a cluster id in capitals", reason: INVALID, bad: (sent) => send(sent, { clusterId: "EU" }) },
    {
      name: "a cluster id of 64 characters",
      reason: INVALID,
      bad: (sent) => send(sent, { clusterId: "a".repeat(64) }),
    },
    { name: "no kind", reason: INVALID, bad: (sent) => send(sent, { kind: 0 }) },
    { name: "a kind of the future", reason: INVALID, bad: (sent) => send(sent, { kind: 99 }) },
    { name: "a prefix with host bits", reason: INVALID, bad: (sent) => send(sent, { prefixes: ["10.0.0.1/8"] }) },
    { name: "a prefix in octal", reason: INVALID, bad: (sent) => send(sent, { prefixes: ["010.0.0.0/8"] }) },
    { name: "a prefix without a length", reason: INVALID, bad: (sent) => send(sent, { prefixes: ["10.0.0.0"] }) },
    { name: "the default route", reason: "RESERVED_PREFIX", bad: (sent) => send(sent, { prefixes: ["0.0.0.0/0"] }) },
    { name: "loopback", reason: "RESERVED_PREFIX", bad: (sent) => send(sent, { prefixes: ["127.0.0.0/8"] }) },
    { name: "the overlay", reason: "RESERVED_PREFIX", bad: (sent) => send(sent, { prefixes: ["198.18.0.0/16"] }) },
    { name: "IPv4 in disguise", reason: "RESERVED_PREFIX", bad: (sent) => send(sent, { prefixes: ["::ffff:0:0/96"] }) },
    {
      name: "a prefix twice",
      reason: INVALID,
      bad: (sent) => send(sent, { prefixes: ["10.9.0.0/16", "10.9.0.0/16"] }),
    },
    {
      name: "257 prefixes",
      reason: INVALID,
      bad: (sent) =>
        send(sent, { prefixes: many(257, (index) => `172.16.${index % 256}.${index > 255 ? 128 : 0}/25`) }),
    },
    {
      name: "17 labels",
      reason: INVALID,
      bad: (sent) => send(sent, { labels: Object.fromEntries(many(17, String).map((key) => [key, "x"])) }),
    },
    { name: "a label that ends a line", reason: INVALID, bad: (sent) => send(sent, { labels: { a: "x\ny" } }) },
    { name: "a label without a name", reason: INVALID, bad: (sent) => send(sent, { labels: { "": "x" } }) },
    { name: "ordinal 16", reason: INVALID, bad: (sent) => send(sent, { ordinal: 16 }) },
    {
      name: "an ordinal that this mesh has not",
      reason: "ORDINAL_OUT_OF_RANGE",
      bad: (sent) => send(sent, { ordinal: 4 }),
    },
    {
      name: "an nkey with a wrong checksum",
      reason: "INVALID_NKEY",
      bad: (sent) => send(sent, { nkey: `U${"A".repeat(55)}` }),
    },
    { name: "the nkey of an account", reason: INVALID, bad: (sent) => send(sent, { nkey: `A${"A".repeat(55)}` }) },
    {
      name: "Renew for a cluster that is none",
      reason: "UNKNOWN_GATEWAY",
      bad: ({ gateway, token }) => gateway.renew({ ...token, clusterId: "none" }),
    },
    {
      name: "Renew for ordinal 99",
      reason: INVALID,
      bad: ({ gateway, token }) => gateway.renew(token, 99),
    },
    {
      name: "Leave of a gateway that never was",
      reason: "UNKNOWN_GATEWAY",
      bad: ({ gateway, token }) => gateway.leave(token),
    },
  ];
  test.each(cases)("$name", async ({ reason, bad }) => {
    const token = await hub.token(eu.id);
    using client = await openRegistration(token);
    await expect(bad({ client, gateway: createTestGateway(), token })).rejects.toMatchObject({ reason });
    await expect(findCluster(eu.id)).rejects.toMatchObject({ reason: "CLUSTER_NOT_FOUND" });
  });
});

test("random bytes, on any method, are refused and crash nothing", async () => {
  const token = await hub.token(eu.id);
  const caPem = hub.context.caPem;
  using channel = openChannel({ address: token.hubAddress, tls: { caPem } });
  const same = (bytes: Buffer) => bytes;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("Register", "Renew", "Leave"),
      fc.uint8Array({ maxLength: 300 }),
      (name, bytes) => {
        const path = `/${RegistrationService.typeName}/${name}`;
        return new Promise<void>((resolve, reject) => {
          channel.client.makeUnaryRequest(path, same, same, Buffer.from(bytes), (error) => {
            if (error?.code === 3 || error?.code === 16) resolve();
            else reject(new Error(`${name}: status ${error?.code} ${error?.details}`));
          });
        });
      },
    ),
    { numRuns: 300 },
  );
  expect(await createTestGateway().register(token, eu.wish)).toMatchObject({ ordinal: 0 });
  expect(hub.log.events.filter(({ level }) => level === "error")).toEqual([]);
});

test("nothing that was logged holds a secret of a token", async () => {
  const token = await hub.token(eu.id);
  await createTestGateway().register(token, eu.wish);
  const logged = JSON.stringify(hub.log.events, (_key, value) => (typeof value === "bigint" ? String(value) : value));
  for (const encoding of ["base64", "base64url", "hex"] as const) {
    expect(logged).not.toContain(Buffer.from(token.secret.reveal()).toString(encoding));
  }
});
