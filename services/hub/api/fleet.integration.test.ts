import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { NatsConnection } from "@nats-io/transport-node";
import { SpanwireError } from "@spanwire/core/errors";
import { appliedKey } from "@spanwire/core/records/key";
import { RecordMap } from "@spanwire/core/records/record-map";
import { sealRecord } from "@spanwire/core/records/seal";
import { upSubject } from "@spanwire/core/subjects";
import { GatewayStatusSchema } from "@spanwire/proto/agent";
import {
  type ExportStateResponse,
  FleetService,
  OperatorRole,
  TokenState,
  type WatchAcknowledgementsResponse,
} from "@spanwire/proto/fleet";
import { DefaultLinks, Direction, Protocol } from "@spanwire/proto/record";
import type { RegisterResponse } from "@spanwire/proto/registration";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { signingKeyPem } from "@spanwire/runtime/crypto/signing-key";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { type ChannelOptions, openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient } from "@spanwire/runtime/grpc/client";
import { createTestCa } from "@spanwire/runtime/grpc/test-certificates";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { jwtAuthenticator } from "@spanwire/runtime/nats/authenticator";
import { connectNats } from "@spanwire/runtime/nats/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createRequestedKey } from "../authority/requested-key.ts";
import { CALL, createTestGateway, makeDirectory, type RunningHub, startHub, type TestGateway } from "../testing.ts";
import { ACCESS, methodName } from "./authorize.ts";

let directory: Awaited<ReturnType<typeof makeDirectory>>;
let hub: RunningHub;
beforeAll(async () => {
  directory = await makeDirectory();
  hub = await startHub({ dir: directory.path });
});
afterAll(async () => {
  await hub?.stop();
  await directory?.[Symbol.asyncDispose]();
});

let clusters = 0;
let eu: { readonly id: string; readonly wish: { readonly prefixes: string[] } };
beforeEach(() => {
  clusters += 1;
  eu = { id: `c${clusters}`, wish: { prefixes: [`10.${clusters}.0.0/16`] } };
});

interface Member {
  readonly gateway: TestGateway;
  readonly joined: RegisterResponse;
}

async function join(id: string, wish: { prefixes?: string[] } = eu.wish): Promise<Member> {
  const gateway = createTestGateway();
  return { gateway, joined: await gateway.register(await hub.token(id), wish) };
}

interface Agent extends AsyncDisposable {
  /** Resolves when the server has closed the connection. */
  readonly disconnected: Promise<void>;
  status(version: string): void;
  acknowledge(sequence: bigint, absent?: { key: string; incarnation: bigint; generation: bigint }): Promise<void>;
}

/** As far as the hub can tell, an agent: connected, and signing what it says. */
async function connectAgent(clusterId: string, { gateway, joined }: Member): Promise<Agent> {
  const stop = new AbortController();
  const { natsUrls = [], natsCaPem = "", natsUserJwt = "", meshId = "" } = joined.credentials ?? {};
  const nats = await connectNats({
    servers: natsUrls,
    name: `${clusterId}.0`,
    tls: { caPem: natsCaPem },
    authenticator: jwtAuthenticator({ jwt: () => natsUserJwt, user: gateway.nkey }),
    inboxPrefix: `sw.v1.inbox.${clusterId}.0`,
    log: createRecordingLog(),
    signal: stop.signal,
  });
  const self = { clusterId, ordinal: 0 };
  let generation = 0n;
  return {
    disconnected: untilDisconnected(nats),
    status: (agentVersion) =>
      nats.publish(
        upSubject(self, "status"),
        toBinary(GatewayStatusSchema, create(GatewayStatusSchema, { agentVersion })),
      ),
    async acknowledge(sequence, absent) {
      generation += 1n;
      const now = timestampFromMs(Date.now());
      const tombstones = absent === undefined ? [] : [{ ...absent, absentAt: now }];
      const { lineage = 0n } = joined.mapState ?? {};
      const value = { lineage, sequence, appliedAt: now, tombstones };
      const payload = {
        key: appliedKey(clusterId, 0),
        incarnation: joined.incarnation,
        generation,
        body: { case: "acknowledgement", value } as const,
      };
      nats.publish(upSubject(self, "applied"), await sealRecord(meshId, payload, { signer: gateway.signer, sha256 }));
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await nats.closed();
    },
  };
}

async function untilDisconnected(nats: NatsConnection): Promise<void> {
  for await (const { type } of nats.status()) if (type === "disconnect") return;
}

const findCluster = async (id: string) => (await hub.fleet.getCluster({ id }, CALL)).cluster;

describe("lets in nobody but operators:", () => {
  const open = (tls: NonNullable<ChannelOptions["tls"]>) => openChannel({ address: hub.ready.fleetAddress, tls });

  test("a connection without a certificate ends before it is a call", async () => {
    using channel = open({ caPem: hub.context.caPem });
    await expect(createClient(FleetService, channel).getVersion({}, CALL)).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  test("so does one with a certificate of another CA", async () => {
    const foreign = await (await createTestCa()).issue({ uri: `spiffe://${hub.ready.meshId}/operator/admin/a` });
    using channel = open({ caPem: hub.context.caPem, certificate: foreign });
    await expect(createClient(FleetService, channel).getVersion({}, CALL)).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  test("a gateway's certificate may call no method", async () => {
    const { gateway, joined } = await join(eu.id);
    const chainPem = joined.credentials?.certificatePem ?? "";
    using channel = open({
      caPem: hub.context.caPem,
      certificate: { chainPem, privateKeyPem: signingKeyPem(gateway.privateKey) },
    });
    const client = createClient(FleetService, channel);
    for (const { localName, methodKind } of FleetService.methods) {
      const method: unknown = Reflect.get(client, localName);
      if (typeof method !== "function") throw new Error(localName);
      const answer = methodKind === "unary" ? method({}, CALL) : method({}, CALL).next();
      await expect(answer, localName).rejects.toMatchObject({ code: "denied", reason: "OPERATOR_REQUIRED" });
    }
  });
});

describe("an operator is certified for a key of its own:", () => {
  const { publicKeySpki: publicKey, request: certificateRequest, privateKeyPem } = createRequestedKey();
  const key = { publicKey: new Uint8Array(publicKey), certificateRequest: new Uint8Array(certificateRequest) };

  test.each([
    { name: "a viewer", role: OperatorRole.VIEWER, allowed: ["viewer"] },
    { name: "an operator", role: OperatorRole.OPERATOR, allowed: ["viewer", "operator"] },
    { name: "an admin", role: OperatorRole.ADMIN, allowed: ["viewer", "operator", "admin"] },
  ])("$name may call what is for $allowed, over TLS", async ({ role, allowed }) => {
    const made = await hub.fleet.createOperator({ name: "alice", role, ...key, ttl: { seconds: 60n } }, CALL);
    const { validTo } = new X509Certificate(made.certificatePem);
    expect(Date.parse(validTo)).toBe(Number(made.expiresAt?.seconds) * 1_000);
    const certificate = { chainPem: made.certificatePem, privateKeyPem };
    using channel = openChannel({ address: hub.ready.fleetAddress, tls: { caPem: hub.context.caPem, certificate } });
    const client = createClient(FleetService, channel);
    for (const descriptor of FleetService.methods) {
      const { localName, methodKind } = descriptor;
      // Most of these empty requests are refused, for another reason.
      const call = Reflect.get(client, localName)({}, CALL);
      const answer: unknown = await (methodKind === "unary" ? call : call.next()).catch((error: unknown) => error);
      if (methodKind !== "unary") await call.return();
      const isRefused = answer instanceof SpanwireError && answer.reason === "ROLE_REQUIRED";
      expect({ localName, isRefused }).toEqual({
        localName,
        isRefused: !allowed.includes(ACCESS.get(methodName(descriptor)) ?? ""),
      });
    }
  });

  test.each([
    { name: "no key", bad: { publicKey: new Uint8Array(91) } },
    { name: "a key of another kind", bad: { publicKey: largerSpki() } },
    { name: "a key with something behind it", bad: { publicKey: new Uint8Array([...publicKey, 0]) } },
  ])("$name is refused", async ({ bad }) => {
    const wish = { name: "alice", role: OperatorRole.VIEWER, ...key, ...bad };
    await expect(hub.fleet.createOperator(wish, CALL)).rejects.toMatchObject({ reason: "BAD_PUBLIC_KEY" });
  });

  function largerSpki(): Uint8Array<ArrayBuffer> {
    const pair = generateKeyPairSync("ec", { namedCurve: "P-384" });
    return new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" }));
  }
});

test("says which versions run, and that it leads", async () => {
  const { meshId } = hub.ready;
  expect(await hub.fleet.getVersion({}, CALL)).toMatchObject({ meshId, version: expect.stringMatching(/^\d+\.\d+/) });
  await expect.poll(async () => (await hub.fleet.getVersion({}, CALL)).leader).toBe(true);
});

test("tokens are listed without their secrets, in the state they are in", async () => {
  const unused = await hub.token(eu.id, { ordinal: 1 });
  const claimed = await hub.token(eu.id);
  await createTestGateway().register(claimed, eu.wish);
  const revoked = await hub.token(eu.id);
  await hub.fleet.revokeToken({ id: revoked.id }, CALL);
  const { tokens } = await hub.fleet.listTokens({}, CALL);
  const states = new Map(tokens.map(({ id, state }) => [id, state]));
  expect(states.get(unused.id)).toBe(TokenState.UNUSED);
  expect(states.get(claimed.id)).toBe(TokenState.CLAIMED);
  expect(states.get(revoked.id)).toBe(TokenState.REVOKED);
  expect(tokens.find(({ id }) => id === unused.id)).toMatchObject({ clusterId: eu.id, ordinal: 1 });
});

test("a cluster's prefixes and labels are replaced, tried first, and only from the generation that was seen", async () => {
  await join(eu.id);
  const before = await findCluster(eu.id);
  const change = { id: eu.id, prefixes: [`10.${clusters}.7.0/24`], labels: { role: "hub" } };
  const tried = await hub.fleet.updateCluster({ ...change, dryRun: true }, CALL);
  expect(tried.cluster).toMatchObject({ prefixes: change.prefixes, labels: change.labels });
  expect(await findCluster(eu.id)).toEqual(before);
  const generation = before?.generation ?? 0n;
  await hub.fleet.updateCluster({ ...change, expectedGeneration: generation }, CALL);
  expect(await findCluster(eu.id)).toMatchObject({ prefixes: change.prefixes, generation: generation + 1n });
  const stale = hub.fleet.updateCluster({ ...change, prefixes: [], expectedGeneration: generation }, CALL);
  await expect(stale).rejects.toMatchObject({ reason: "GENERATION_CHANGED" });
});

test("the link policy is tried, set from the generation that was seen, and says which pairs change", async () => {
  const other = `${eu.id}-b`;
  await join(eu.id);
  await join(other, { prefixes: [`10.${100 + clusters}.0.0/16`] });
  const { generation } = await hub.fleet.getLinkPolicy({}, CALL);
  const link = {
    name: "shop",
    left: { clusters: [eu.id] },
    right: { clusters: [other] },
    allow: [{ direction: Direction.LEFT_TO_RIGHT, protocol: Protocol.TCP, ports: [{ first: 443, last: 443 }] }],
  };
  const policy = { defaultLinks: DefaultLinks.NONE, links: [link] };
  const tried = await hub.fleet.setLinkPolicy({ policy, dryRun: true }, CALL);
  expect(tried.generation).toBe(generation);
  expect(tried.changes.find(({ left, right }) => left === eu.id && right === other)).toMatchObject({
    before: "linked, everything",
    after: `linked: ${eu.id}->${other} tcp 443`,
  });
  const set = await hub.fleet.setLinkPolicy({ policy, expectedGeneration: generation }, CALL);
  expect(set.generation).toBe(generation + 1n);
  expect((await hub.fleet.getLinkPolicy({}, CALL)).policy).toMatchObject(policy);
  const same = await hub.fleet.setLinkPolicy({ policy }, CALL);
  expect(same).toMatchObject({ generation: generation + 1n, changes: [] });
  await expect(hub.fleet.setLinkPolicy({ policy, expectedGeneration: generation }, CALL)).rejects.toMatchObject({
    reason: "GENERATION_CHANGED",
  });
  await hub.fleet.setLinkPolicy({ policy: { defaultLinks: DefaultLinks.FULL_MESH } }, CALL);
});

test("a report is in the status, and a change of it is told to who watches", async () => {
  const member = await join(eu.id);
  await using agent = await connectAgent(eu.id, member);
  const watching = hub.fleet.watchStatus({}, CALL);
  const versionIn = async () => {
    const { value } = await watching.next();
    return value?.status?.clusters.find(({ id }) => id === eu.id)?.gateways[0]?.status?.agentVersion;
  };
  expect(await versionIn()).toBeUndefined();
  agent.status("1.0");
  await expect.poll(versionIn).toBe("1.0");
  agent.status("1.1");
  await agent.acknowledge(1n);
  await expect.poll(versionIn).toBe("1.1");
  await watching.return();
  const { status } = await hub.fleet.getStatus({}, CALL);
  const gateway = status?.clusters.find(({ id }) => id === eu.id)?.gateways[0];
  expect(gateway).toMatchObject({ appliedSequence: 1n });
  expect(gateway?.lastSeen).toBeDefined();
});

test("a revocation is followed until each gateway that can be reached has shown the peer absent", async () => {
  await using own = await makeDirectory();
  await using other = await startHub({ dir: own.path });
  const joinOther = async (id: string, at: number) => {
    const gateway = createTestGateway();
    return { gateway, joined: await gateway.register(await other.token(id), { prefixes: [`10.${at}.0.0/16`] }) };
  };
  await using asking = await connectAgent("asking", await joinOther("asking", 1));
  await using leaving = await connectAgent("leaving", await joinOther("leaving", 2));
  const lost = await connectAgent("lost", await joinOther("lost", 3));
  for (const each of [asking, leaving, lost]) each.status("1.0");
  const { fleet } = other;
  const seen = async () => (await fleet.listClusters({}, CALL)).clusters.map(({ gateways }) => gateways[0]?.lastSeen);
  await expect.poll(seen).not.toContain(undefined);
  await lost[Symbol.asyncDispose]();

  const { ended } = await fleet.revokeCluster({ id: "leaving", reason: "test" }, CALL);
  expect(ended.map(({ key }) => key)).toEqual(["gateway.leaving.0"]);
  await leaving.disconnected;
  const watching = fleet.watchAcknowledgements({ ended }, CALL);
  expect((await watching.next()).value).toMatchObject({ complete: false });
  const [tombstone] = ended;
  if (tombstone !== undefined) await asking.acknowledge(0n, tombstone);
  let last: WatchAcknowledgementsResponse | undefined;
  for await (const progress of watching) last = progress;
  expect(last).toMatchObject({
    complete: true,
    gateways: [
      { clusterId: "asking", absentAt: expect.anything() },
      { clusterId: "lost", unreachableSince: expect.anything() },
    ],
  });
  expect(last?.gateways[1]?.absentAt).toBeUndefined();
});

test("an acknowledgement that the gateway did not sign counts for nothing", async () => {
  const member = await join(eu.id);
  await using agent = await connectAgent(eu.id, {
    ...member,
    gateway: { ...member.gateway, signer: createTestGateway().signer },
  });
  await agent.acknowledge(1_000n);
  agent.status("after");
  await expect.poll(async () => (await findCluster(eu.id))?.gateways[0]?.status?.agentVersion).toBe("after");
  expect((await findCluster(eu.id))?.gateways[0]?.appliedSequence).toBe(0n);
});

test("the map is given whole, and verifies to the digest that a joiner was told", async () => {
  const { joined } = await join(eu.id);
  const trust = { meshId: hub.ready.meshId, authorityKey: hub.context.authorityKey, verify: createVerify(), sha256 };
  const map = new RecordMap(trust);
  const sequences = new Set<bigint>();
  for await (const { chunk } of hub.fleet.getMap({}, CALL)) {
    sequences.add(chunk?.sequence ?? 0n);
    for (const { key, record } of chunk?.entries ?? []) expect(map.offer(key, record).kind).toBe("accepted");
  }
  expect(sequences.size).toBe(1);
  expect(Buffer.from(map.digest())).toEqual(Buffer.from(joined.mapState?.digest ?? []));
});

test("all state is exported, and no secret with it", async () => {
  const token = await hub.token(eu.id);
  const exported: ExportStateResponse[] = [];
  for await (const each of hub.fleet.exportState({}, CALL)) exported.push(each);
  const keys = exported.map(({ bucket, key }) => `${bucket} ${key}`);
  expect(keys).toContain(`sw-registry token.${token.id}`);
  expect(keys).toContain("sw-map mesh");
  expect(keys).not.toContain("sw-registry nonce.key");
  expect(keys).not.toContain("sw-registry leader");
  const whole = Buffer.concat(exported.map(({ value }) => value)).toString("latin1");
  const secret = Buffer.from(token.secret.reveal());
  for (const encoding of ["latin1", "base64", "hex"] as const) expect(whole).not.toContain(secret.toString(encoding));
});

const INVALID = "INVALID_REQUEST";

describe("refuses, and says why:", () => {
  const link = { name: "x", left: {}, right: {} };
  const policy = (links: object[], defaultLinks: DefaultLinks = DefaultLinks.FULL_MESH) =>
    ({ policy: { defaultLinks, links } }) as never;
  const allow = (rule: object) => policy([{ ...link, allow: [{ direction: 1, protocol: 1, ...rule }] }]);
  const cases: { name: string; reason: string; call: (fleet: RunningHub["fleet"]) => Promise<unknown> }[] = [
    { name: "a token for no cluster", reason: INVALID, call: (fleet) => fleet.createToken({}, CALL) },
    { name: "a token for a wildcard", reason: INVALID, call: (fleet) => fleet.createToken({ clusterId: ">" }, CALL) },
    {
      name: "a token for no time",
      reason: INVALID,
      call: (fleet) => fleet.createToken({ clusterId: "eu", ttl: { seconds: 0n } }, CALL),
    },
    {
      name: "a token for the past",
      reason: INVALID,
      call: (fleet) => fleet.createToken({ clusterId: "eu", ttl: { seconds: -1n } }, CALL),
    },
    {
      name: "a token for 8 days",
      reason: INVALID,
      call: (fleet) => fleet.createToken({ clusterId: "eu", ttl: { seconds: 8n * 86_400n } }, CALL),
    },
    {
      name: "a token for ordinal 16",
      reason: INVALID,
      call: (fleet) => fleet.createToken({ clusterId: "eu", ordinal: 16 }, CALL),
    },
    {
      name: "a token for an ordinal that the mesh has not",
      reason: "ORDINAL_OUT_OF_RANGE",
      call: (fleet) => fleet.createToken({ clusterId: "eu", ordinal: 2 }, CALL),
    },
    { name: "a token id that is a key", reason: INVALID, call: (fleet) => fleet.revokeToken({ id: "a.b" }, CALL) },
    {
      name: "a token that is none",
      reason: "TOKEN_NOT_FOUND",
      call: (fleet) => fleet.revokeToken({ id: "0000000000000000" }, CALL),
    },
    { name: "no cluster", reason: INVALID, call: (fleet) => fleet.getCluster({}, CALL) },
    {
      name: "a cluster that is none",
      reason: "CLUSTER_NOT_FOUND",
      call: (fleet) => fleet.getCluster({ id: "none" }, CALL),
    },
    {
      name: "an update of a cluster that is none",
      reason: "CLUSTER_NOT_FOUND",
      call: (fleet) => fleet.updateCluster({ id: "none" }, CALL),
    },
    {
      name: "an update to a prefix with host bits",
      reason: INVALID,
      call: (fleet) => fleet.updateCluster({ id: "none", prefixes: ["10.0.0.1/8"] }, CALL),
    },
    {
      name: "a revocation of a cluster that is none",
      reason: "CLUSTER_NOT_FOUND",
      call: (fleet) => fleet.revokeCluster({ id: "none" }, CALL),
    },
    {
      name: "a reason of 257 characters",
      reason: INVALID,
      call: (fleet) => fleet.revokeCluster({ id: "none", reason: "x".repeat(257) }, CALL),
    },
    {
      name: "a revocation of a gateway that is none",
      reason: "GATEWAY_NOT_FOUND",
      call: (fleet) => fleet.revokeGateway({ clusterId: "none" }, CALL),
    },
    {
      name: "a revocation of ordinal 16",
      reason: INVALID,
      call: (fleet) => fleet.revokeGateway({ clusterId: "none", ordinal: 16 }, CALL),
    },
    {
      name: "a gateway that is none and should drain",
      reason: "GATEWAY_NOT_FOUND",
      call: (fleet) => fleet.setDraining({ clusterId: "none", draining: true }, CALL),
    },
    {
      name: "a deletion of a cluster that is none",
      reason: "CLUSTER_NOT_FOUND",
      call: (fleet) => fleet.deleteCluster({ id: "none" }, CALL),
    },
    {
      name: "a watch for nothing",
      reason: INVALID,
      call: (fleet) => fleet.watchAcknowledgements({}, CALL).next(),
    },
    {
      name: "a watch for 65 tombstones",
      reason: INVALID,
      call: (fleet) =>
        fleet.watchAcknowledgements({ ended: Array.from({ length: 65 }, () => ({ key: "x" })) }, CALL).next(),
    },
    { name: "no policy", reason: INVALID, call: (fleet) => fleet.setLinkPolicy({}, CALL) },
    { name: "a policy without a default", reason: INVALID, call: (fleet) => fleet.setLinkPolicy(policy([], 0), CALL) },
    {
      name: "a link without a name",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(policy([{ ...link, name: "" }]), CALL),
    },
    {
      name: "a link without a side",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(policy([{ name: "x", left: {} }]), CALL),
    },
    {
      name: "two links of one name",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(policy([link, link]), CALL),
    },
    {
      name: "ports without a protocol",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(allow({ ports: [{ first: 1, last: 2 }] }), CALL),
    },
    {
      name: "ports the wrong way round",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(allow({ protocol: 2, ports: [{ first: 2, last: 1 }] }), CALL),
    },
    {
      name: "port 65536",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(allow({ protocol: 2, ports: [{ first: 1, last: 65_536 }] }), CALL),
    },
    {
      name: "a source that is no prefix",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(allow({ sources: ["x"] }), CALL),
    },
    {
      name: "a direction of the future",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(allow({ direction: 9 }), CALL),
    },
    {
      name: "an end that carries its own traffic",
      reason: INVALID,
      call: (fleet) => fleet.setLinkPolicy(policy([{ ...link, left: { clusters: ["eu"] }, transit: "eu" }]), CALL),
    },
    {
      name: "257 links",
      reason: INVALID,
      call: (fleet) =>
        fleet.setLinkPolicy(policy(Array.from({ length: 257 }, (_, at) => ({ ...link, name: `l${at}` }))), CALL),
    },
  ];
  test.each(cases)("$name", async ({ reason, call }) => {
    const { generation } = await hub.fleet.getLinkPolicy({}, CALL);
    await expect(call(hub.fleet)).rejects.toMatchObject({ reason });
    expect((await hub.fleet.getLinkPolicy({}, CALL)).generation).toBe(generation);
  });
});
