import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { NatsConnection } from "@nats-io/transport-node";
import { appliedKey } from "@spanwire/core/records/key";
import { RecordMap } from "@spanwire/core/records/record-map";
import { sealRecord } from "@spanwire/core/records/seal";
import { upSubject } from "@spanwire/core/subjects";
import { GatewayStatusSchema } from "@spanwire/proto/agent";
import { type ExportStateResponse, TokenState, type WatchAcknowledgementsResponse } from "@spanwire/proto/fleet";
import { DefaultLinks, Direction, Protocol } from "@spanwire/proto/record";
import type { RegisterResponse } from "@spanwire/proto/registration";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { jwtAuthenticator } from "@spanwire/runtime/nats/authenticator";
import { connectNats } from "@spanwire/runtime/nats/connect";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { CALL, createTestGateway, type RunningHub, startHub, type TestGateway } from "../testing.ts";

let hub: RunningHub;
beforeAll(async () => {
  hub = await startHub();
});
afterAll(() => hub?.[Symbol.asyncDispose]());

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
  await using other = await startHub();
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
