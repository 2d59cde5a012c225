/**
 * Who sends by whom while gateways fall silent, drain and come back: whole agents over kernels and a network in memory.
 * What packets do meanwhile: `test/netns/failover.test.ts`.
 */
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { connect } from "@nats-io/transport-node";
import type { Signer } from "@spanwire/core/records/crypto";
import { type GatewayStatus, GatewayStatusSchema } from "@spanwire/proto/agent";
import { GatewayState } from "@spanwire/proto/record";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type NatsServer, startNats } from "../../test/lab/nats.ts";
import { ensureIdentity } from "./identity/gateway-identity.ts";
import { FakeNetwork } from "./liveness/fake-network.ts";
import { startModelRelay } from "./subscription/model-relay.ts";
import { createTestMesh, makeTestDirectory, startTestAgent, type TestAgent, type TestMesh } from "./testing.ts";

const eventually = (read: () => unknown) => expect.poll(read, { timeout: 60_000, interval: 20 });
const PLANE_ADDRESSES = { eu0: "198.18.0.16", us0: "198.18.0.80", us1: "198.18.0.81" };
const WAYS = ["eu0", "us0", "us1"] as const;

const open = new AsyncDisposableStack();
let server: NatsServer;
let mesh: TestMesh;
let relay: ReturnType<typeof startModelRelay>;
let directory: string;
let network: FakeNetwork;
let signers: readonly Signer[];
let eu: TestAgent;
let us: readonly [TestAgent, TestAgent];
const statuses: GatewayStatus[] = [];

beforeAll(async () => {
  directory = open.use(await makeTestDirectory()).path;
  server = open.use(await startNats({ jetstream: false }));
  mesh = await createTestMesh();
  const nats = await connect({ servers: server.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
  open.defer(() => nats.close());
  relay = startModelRelay(nats, () => mesh.hub);
  const heads = setInterval(() => void relay.head(), 200);
  open.defer(() => clearInterval(heads));
  nats.subscribe("sw.v1.up.eu.0.status", {
    callback: (_, { data }) => void statuses.push(fromBinary(GatewayStatusSchema, data)),
  });
  network = new FakeNetwork({ clock: systemClock });
  const signerOf = async (name: string) => (await ensureIdentity(join(directory, name))).signer;
  signers = [await signerOf("us0"), await signerOf("us1")];
  await mesh.admit("eu", [await signerOf("eu0")], relay.write);
  await mesh.admit("us", signers, relay.write);
  eu = await start("eu", 0);
  us = [await start("us", 0), await start("us", 1)];
  const traffic = setInterval(passPackets, 50);
  open.defer(() => clearInterval(traffic));
});
afterAll(() => open.disposeAsync());

beforeEach(async () => {
  for (const name of WAYS) plug(name, "in");
  await eu.stop(); // and forgets who fell how often: nobody is held down
  eu = await start("eu", 0, eu);
  await eventually(active).toEqual([0, 1]);
});

async function start(cluster: string, ordinal: number, former?: TestAgent): Promise<TestAgent> {
  const agent = await startTestAgent({
    stateDirectory: join(directory, `${cluster}${ordinal}`),
    membership: mesh.membership(cluster, ordinal, server.url),
    settings: {
      endpoints: [{ host: `192.0.2.${cluster === "eu" ? 1 : 10 + ordinal}`, basePort: 51_820 }],
      ...{ lookEveryMs: 100, statusEveryMs: 200 },
    },
    openProbeSocket: network.open,
    ...(former && { kernel: former.kernel }),
  });
  return open.use(agent);
}

/** As WireGuard counts what LAN hosts send each other: by those lanes that carry. */
function passPackets(): void {
  for (const ordinal of active()) {
    const device = `sw-a${ordinal}`;
    const lane = eu.kernel.wireguard.observe(device);
    void lane.then((found) => {
      for (const { publicKey, rxBytes } of found?.peers ?? [])
        eu.kernel.touchPeer(device, publicKey, { rxBytes: rxBytes + 10_000 });
    });
  }
}

/** Whether what one gateway sends to the others, and they to it, comes through. */
function plug(name: (typeof WAYS)[number], how: "in" | "out"): void {
  for (const other of WAYS) {
    const path = { lossPercent: how === "in" ? 0 : 100 };
    network.set(PLANE_ADDRESSES[name], PLANE_ADDRESSES[other], path);
    network.set(PLANE_ADDRESSES[other], PLANE_ADDRESSES[name], path);
  }
}

/** The gateways of us by which the kernel of eu sends. */
function active(): readonly number[] {
  const [, members = ""] = /id 518000140 group (\S+)/.exec(eu.kernel.toString()) ?? [];
  return members.split("/").map((id) => Number(id.slice(-2)));
}

/** Both are probed fast, as soon as there is traffic. */
async function fast(): Promise<void> {
  let before = Number.POSITIVE_INFINITY;
  const sentSince = () => {
    const { sent } = eu.agent.state.probes;
    const count = sent - before;
    before = sent;
    return count;
  };
  await expect.poll(sentSince, { timeout: 60_000, interval: 1_000 }).toBeGreaterThanOrEqual(10);
}

describe("a gateway of us that falls silent", () => {
  test.each(["us0", "us1"] as const)("%s is left for the other, and carries again when it is back", async (name) => {
    await fast();
    const { failovers } = eu.agent.state;
    plug(name, "out");
    await eventually(active).toEqual([name === "us0" ? 1 : 0]);
    expect(eu.agent.state.failovers).toBeGreaterThan(failovers); // exactly: paths.test.ts; here a busy machine adds its own
    plug(name, "in");
    await eventually(active).toEqual([0, 1]);
  });

  test("is left when it hears eu and eu does not hear it", async () => {
    await fast();
    network.set(PLANE_ADDRESSES.us0, PLANE_ADDRESSES.eu0, { lossPercent: 100 });
    await eventually(active).toEqual([1]);
  });

  test("is left when eu hears it and it does not hear eu", async () => {
    await fast();
    network.set(PLANE_ADDRESSES.eu0, PLANE_ADDRESSES.us0, { lossPercent: 100 });
    await eventually(active).toEqual([1]);
  });

  test("stays where the other is silent, too: what is sent then is lost at worst", async () => {
    await fast();
    plug("us0", "out");
    await eventually(active).toEqual([1]);
    plug("us1", "out");
    await eventually(() => eu.agent.state.verdicts.get("down")).toBe(2);
    await eventually(active).toEqual([0, 1]);
  });
});

test("an agent that is killed is left; started again on the same kernel, it carries again", async () => {
  await fast();
  const before = us[1].kernel.toString();
  await us[1].stop();
  await eventually(active).toEqual([0]);
  expect(us[1].kernel.toString()).toBe(before);
  us = [us[0], await start("us", 1, us[1])];
  await eventually(active).toEqual([0, 1]);
});

test("the status says who carries, and since when it is not all", async () => {
  await fast();
  plug("us0", "out");
  await eventually(() => statuses.at(-1)?.paths).toMatchObject([{ clusterId: "us", active: [1], present: [0, 1] }]);
  await eventually(() => statuses.at(-1)?.conditions.map(({ type, subject }) => `${type} ${subject}`)).toContain(
    "GatewaySilent gateway us.0",
  );
  const [path] = statuses.at(-1)?.paths ?? [];
  expect(Number(path?.lastFailover?.seconds)).toBeGreaterThan(Date.now() / 1_000 - 120);
});

describe("draining", () => {
  const stateOf = (ordinal: number) => mesh.hub.map.statements.get(`gateway.us.${ordinal}`)?.statement.state;

  test("an operator's word makes the gateway say so, and the others send by its sibling until he takes it back", async () => {
    await mesh.admit("us", signers, relay.write, undefined, [1]);
    await eventually(() => stateOf(1)).toBe(GatewayState.DRAINING);
    await eventually(active).toEqual([0]);
    await mesh.admit("us", signers, relay.write);
    await eventually(() => stateOf(1)).toBe(GatewayState.SERVING);
    await eventually(active).toEqual([0, 1]);
  });

  test("one that is about to go waits until the others have left it, without hub and NATS", async () => {
    await server.kill();
    await us[0].agent.drain();
    await eventually(active).toEqual([1]);
    await us[0].stop();
    us = [await start("us", 0, us[0]), us[1]];
    await eventually(active).toEqual([0, 1]);
    await server.restart();
  });

  test("the only gateway of a cluster does not wait for anybody, nor say so", async () => {
    await eu.agent.drain();
    expect(mesh.hub.map.statements.get("gateway.eu.0")?.statement.state).toBe(GatewayState.SERVING);
  });
});
