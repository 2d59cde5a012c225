import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { SpanwireError } from "@spanwire/core/errors";
import { appliedKey } from "@spanwire/core/records/key";
import { GatewayStatusSchema } from "@spanwire/proto/agent";
import type { Acknowledgement } from "@spanwire/proto/record";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type NatsServer, startNats } from "../../test/lab/nats.ts";
import type { AgentSettings } from "./agent-options.ts";
import { ensureIdentity } from "./identity/gateway-identity.ts";
import { findMembership } from "./join/membership.ts";
import { startTestHub } from "./join/test-hub.ts";
import { type ModelRelay, startModelRelay } from "./subscription/model-relay.ts";
import { createTestMesh, makeTestDirectory, startTestAgent, type TestAgent, type TestMesh } from "./testing.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ jetstream: false });
});
afterAll(() => server[Symbol.asyncDispose]());

const HEAD_INTERVAL_MS = 200;
const eventually = (read: () => unknown) => expect.poll(read);

/** A mesh of the clusters eu and us, one gateway each, with a model of the hub on a real NATS server. */
class Scene implements AsyncDisposable {
  static async open(): Promise<Scene> {
    const directory = await makeTestDirectory();
    const mesh = await createTestMesh();
    const nats = await connect({ servers: server.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
    const relay = startModelRelay(nats, () => mesh.hub);
    const scene = new Scene(directory, mesh, nats, relay);
    for (const clusterId of ["eu", "us"]) {
      const { signer } = await ensureIdentity(scene.stateOf(clusterId));
      await mesh.admit(clusterId, [signer], relay.write);
    }
    return scene;
  }

  readonly statuses: ReturnType<typeof decodeStatus>[] = [];
  readonly acknowledgements: Acknowledgement[] = [];
  readonly #directory: Awaited<ReturnType<typeof makeTestDirectory>>;
  readonly #agents = new Set<TestAgent>();
  readonly #heads: NodeJS.Timeout;
  readonly mesh: TestMesh;
  readonly nats: NatsConnection;
  readonly relay: ModelRelay;

  private constructor(
    directory: Awaited<ReturnType<typeof makeTestDirectory>>,
    mesh: TestMesh,
    nats: NatsConnection,
    relay: ModelRelay,
  ) {
    this.#directory = directory;
    this.mesh = mesh;
    this.nats = nats;
    this.relay = relay;
    nats.subscribe("sw.v1.up.*.*.status", { callback: (_, { data }) => void this.statuses.push(decodeStatus(data)) });
    this.#heads = setInterval(() => void relay.head(), HEAD_INTERVAL_MS);
    nats.subscribe("sw.v1.up.eu.0.applied", { callback: (_, { data }) => this.#noteAcknowledgement(data) });
  }

  stateOf(clusterId: string): string {
    return join(this.#directory.path, clusterId);
  }

  /** Waits until both have a peer in their kernel. */
  async peered(eu: TestAgent, us: TestAgent): Promise<void> {
    await eventually(() => eu.kernel.toString()).toContain("endpoint 192.0.2.2:51820");
    await eventually(() => us.kernel.toString()).toContain("endpoint 192.0.2.1:51820");
  }

  /** Publishes the statement of a stopped agent again, with another endpoint. */
  async move(clusterId: string, host: string): Promise<void> {
    const { signer } = await ensureIdentity(this.stateOf(clusterId));
    const key = `gateway.${clusterId}.0`;
    const held = this.mesh.hub.map.statements.get(key);
    const publicKey = held?.statement.keys[0]?.publicKey ?? new Uint8Array();
    const generation = (held?.order.generation ?? 0n) + 1n;
    this.relay.write(key, await this.mesh.by.statement(signer, clusterId, { publicKey, generation, host }));
  }

  async start(
    clusterId: string,
    kernel?: TestAgent["kernel"],
    settings: Partial<AgentSettings> = {},
    membership = this.mesh.membership(clusterId, 0, server.url),
  ): Promise<TestAgent> {
    const started = await startTestAgent({
      stateDirectory: this.stateOf(clusterId),
      membership,
      settings: {
        endpoints: [{ host: clusterId === "eu" ? "192.0.2.1" : "192.0.2.2", basePort: 51820 }],
        statusEveryMs: 300,
        ...settings,
      },
      ...(kernel && { kernel }),
    });
    this.#agents.add(started);
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heads);
    for (const agent of this.#agents) await agent.stop();
    await this.nats.close();
    await this.#directory[Symbol.asyncDispose]();
  }

  #noteAcknowledgement(bytes: Uint8Array): void {
    const opened = this.mesh.hub.map.open(appliedKey("eu", 0), Uint8Array.from(bytes));
    if (!opened.ok) throw new Error(opened.message);
    const { body } = opened.record.payload;
    if (body.case === "acknowledgement") this.acknowledgements.push(body.value);
  }
}

function decodeStatus(bytes: Uint8Array) {
  return fromBinary(GatewayStatusSchema, bytes);
}

test("two agents state themselves and their kernels peer with each other", async () => {
  await using scene = await Scene.open();
  const [eu, us] = [await scene.start("eu"), await scene.start("us")];
  await scene.peered(eu, us);
  expect(eu.kernel.toString()).toContain("route 10.0.1.0/24 nhid");
  await eventually(() => eu.agent.state.notReady).toBeUndefined();
});

test("a changed statement is taken in and acknowledged", async () => {
  await using scene = await Scene.open();
  const [eu, us] = [await scene.start("eu"), await scene.start("us")];
  await scene.peered(eu, us);
  await us.stop();
  await scene.move("us", "192.0.2.99");
  await eventually(() => eu.agent.state.position).toEqual(scene.mesh.hub.position);
  await eventually(() => scene.acknowledgements.at(-1)?.sequence).toBe(scene.mesh.hub.position.sequence);
  expect(scene.acknowledgements.at(-1)?.failures).toEqual([]);
});

test("a revoked cluster is gone from the kernel, and the acknowledgement says since when", async () => {
  await using scene = await Scene.open();
  const [eu, us] = [await scene.start("eu"), await scene.start("us")];
  await scene.peered(eu, us);
  await us.stop();
  const endedAfter = Math.floor(Date.now() / 1_000);
  const order = { incarnation: 1n, generation: 9n };
  const key = "cluster.us";
  const body = { case: "tombstone", value: { reason: "test" } } as const;
  scene.relay.write(key, await scene.mesh.by.sign(scene.mesh.online, { key, ...order, body }));
  await eventually(() => scene.acknowledgements.flatMap(({ tombstones }) => tombstones)).toMatchObject([
    { key, ...order },
  ]);
  expect(eu.kernel.toString()).not.toContain("192.0.2.2");
  expect(eu.kernel.toString()).not.toContain("10.0.1.0/24 nhid");
  const absentAt = scene.acknowledgements.at(-1)?.tombstones[0]?.absentAt;
  expect(Number(absentAt?.seconds)).toBeGreaterThanOrEqual(endedAfter);
});

test("hub and NATS die, an agent restarts meanwhile, and no kernel changes", async () => {
  await using scene = await Scene.open();
  const [eu, us] = [await scene.start("eu"), await scene.start("us")];
  await scene.peered(eu, us);
  const before = [eu.kernel.toString(), us.kernel.toString()];
  await server.kill();
  await eu.stop();
  eu.kernel.writes = 0;
  const again = await scene.start("eu", eu.kernel);
  await eventually(() => again.agent.state.notReady).toBeUndefined();
  expect([eu.kernel.toString(), us.kernel.toString()]).toEqual(before);
  expect(eu.kernel.writes).toBe(0);

  await server.restart();
  await eventually(() => again.agent.state.connected).toBe(true);
  const { signer } = await ensureIdentity(scene.stateOf("asia"));
  await scene.mesh.admit("asia", [signer], scene.relay.write);
  await eventually(() => again.kernel.toString()).toContain("blackhole 10.0.2.0/24");
  await eventually(() => us.kernel.toString()).toContain("blackhole 10.0.2.0/24");
});

test("forged records change nothing, and the status says so", async () => {
  await using scene = await Scene.open();
  const [eu, us] = [await scene.start("eu"), await scene.start("us")];
  await scene.peered(eu, us);
  const before = eu.kernel.toString();
  const { signer } = await ensureIdentity(scene.stateOf("mallory"));
  const bytes = await scene.mesh.by.statement(signer, "us", { generation: 99n, host: "203.0.113.6" });
  scene.relay.publish({ key: "gateway.us.0", bytes, sequence: scene.mesh.hub.position.sequence + 1n });
  await eventually(() => scene.statuses.flatMap(({ conditions }) => conditions.map(({ type }) => type))).toContain(
    "RecordRejected",
  );
  expect(eu.kernel.toString()).toBe(before);
});

test("the status tells of links, versions and conditions", async () => {
  await using scene = await Scene.open();
  const [eu, us] = [await scene.start("eu"), await scene.start("us")];
  await scene.peered(eu, us);
  await eventually(() => scene.statuses.find(({ links }) => links.length > 0)).toMatchObject({
    agentVersion: "test",
    dataplane: 1,
    links: [{ device: "sw-a0", ordinal: 0, roamed: false }],
  });
});

test("the status tells what is amiss on the host, and no more once it is mended", async () => {
  await using scene = await Scene.open();
  const { kernel } = await scene.start("eu", undefined, { lookEveryMs: 20 });
  const said = () => {
    const conditions = scene.statuses.at(-1)?.conditions.filter(({ type }) => type !== "NoGateway");
    return conditions?.map(({ type, subject }) => `${type} ${subject}`);
  };
  await eventually(said).toEqual([]);
  const via = (destination: string) => ({ device: "lan", destination, table: 254 });
  kernel.setHost({
    connected: [via("10.0.0.0/24")],
    routed: [via("10.0.1.128/25")],
    devices: [{ name: "lan", forwarding: false }],
  });
  kernel.setForeignChains([{ name: "ip filter FORWARD", policy: "drop", version: "1" }]);
  kernel.setForwarded({ entered: 100, denied: 0, passed: 0 });
  await eventually(said).toEqual([
    "HostFirewallDrops firewall ip filter FORWARD",
    "LanNotForwarding device lan",
    "PrefixShadowsLocal prefix 10.0.1.0/24",
  ]);
  kernel.setHost({ routed: [], devices: [{ name: "lan", forwarding: true }] });
  kernel.setForeignChains([]);
  await eventually(said).toEqual([]);
});

test("at rest nothing is written", async () => {
  await using scene = await Scene.open();
  const [eu, us] = [await scene.start("eu", undefined, { lookEveryMs: 20 }), await scene.start("us")];
  await scene.peered(eu, us);
  await eventually(() => eu.agent.state.conditions).toEqual([]);
  const { reconciles } = eu.agent.state;
  eu.kernel.writes = 0;
  await eventually(() => eu.agent.state.reconciles).toBeGreaterThan(reconciles + 20);
  expect(eu.kernel.writes).toBe(0);
});

test("where the disk takes nothing, forwarding goes on, and the status says so until it is mended", async () => {
  await using scene = await Scene.open();
  const [first, us] = [await scene.start("eu"), await scene.start("us")];
  await scene.peered(first, us);
  await first.stop();
  await us.stop();
  const [journal, map] = ["map.journal", "map.state.new"].map((name) => join(scene.stateOf("eu"), name)) as [
    string,
    string,
  ];
  await rm(journal, { force: true });
  const eu = await scene.start("eu", first.kernel);
  await eventually(() => eu.agent.state.connected).toBe(true);
  // Directories where files should be written stop every user, root included.
  await mkdir(journal);
  await mkdir(`${map}/x`, { recursive: true });

  const types = () => eu.agent.state.conditions.map(({ type }) => type);
  await scene.move("us", "192.0.2.50");
  await eventually(() => eu.kernel.toString()).toContain("endpoint 192.0.2.50:51820");
  await eventually(types).toContain("StateNotSaved");

  await rm(journal, { recursive: true });
  await rm(map, { recursive: true });
  await eventually(types).not.toContain("StateNotSaved");
});

test("a gateway that slept until the hub had forgotten it joins again, and ends to begin anew; its kernel stays", async () => {
  await using scene = await Scene.open();
  await using grpc = await startTestHub();
  const [awake, us] = [await scene.start("eu"), await scene.start("us")];
  await scene.peered(awake, us);
  await awake.stop();
  const before = awake.kernel.toString();
  awake.kernel.writes = 0;

  grpc.refusals.push(new SpanwireError("denied", "not admitted", { reason: "UNKNOWN_GATEWAY" }));
  const membership = scene.mesh.membership("eu", 0, server.url);
  const monthsAgoMs = Date.now() - 90 * 86_400_000;
  const expiresAt = timestampFromMs(monthsAgoMs + 86_400_000);
  const credentials = { ...membership.credentials, caPem: grpc.credentials.caPem, expiresAt };
  const { hubAddress } = grpc.token;
  const slept = { ...membership, credentials, hubAddress, receivedAtMs: monthsAgoMs };
  const stateDirectory = scene.stateOf("eu");
  const rejoin = async () => ({ ...membership, incarnation: 2n });
  const eu = await startTestAgent({ stateDirectory, membership: slept, kernel: awake.kernel, rejoin });
  await eu.running;
  expect(eu.agent.hasRejoined).toBe(true);
  expect(await findMembership(stateDirectory)).toMatchObject({ incarnation: 2n });
  expect(awake.kernel.toString()).toBe(before);
  expect(awake.kernel.writes).toBe(0);
});

test("finds NATS where the hub says that it is now", async () => {
  await using scene = await Scene.open();
  await using elsewhere = await startNats({ jetstream: false });
  await using grpc = await startTestHub();
  const heard = Promise.withResolvers<void>();
  const listener = await connect({ servers: elsewhere.url });
  listener.subscribe("sw.v1.up.eu.0.status", { callback: () => heard.resolve() });
  await listener.flush();

  const membership = scene.mesh.membership("eu", 0, server.url);
  const credentials = { ...membership.credentials, caPem: grpc.credentials.caPem };
  grpc.credentials = { ...credentials, natsUrls: [elsewhere.url] };
  const hubAddress = grpc.token.hubAddress;
  // Half of their lifetime is over: they are renewed at once.
  const receivedAtMs = membership.receivedAtMs - 7 * 86_400_000;
  const eu = await scene.start("eu", undefined, {}, { ...membership, credentials, hubAddress, receivedAtMs });
  await heard.promise;
  expect(grpc.calls).toEqual(["Renew"]);
  await eu.stop();
  await listener.close();
});
