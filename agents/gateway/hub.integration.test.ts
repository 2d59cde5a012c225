import { cp, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { ClusterKind } from "@spanwire/proto/record";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { secretText } from "@spanwire/runtime/config/secret-text";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { expect, test } from "vitest";
import { type HubProcess, startHubProcess } from "../../test/integration/hub-process.ts";
import { ensureIdentity } from "./identity/gateway-identity.ts";
import { ensureMembership } from "./join/join.ts";
import type { FakeKernel } from "./kernel/fake/fake-kernel.ts";
import { makeTestDirectory, startTestAgent, type TestAgent } from "./testing.ts";

const eventually = (read: () => unknown) => expect.poll(read);
const ENDPOINTS = { eu: "192.0.2.1", us: "192.0.2.2", plant: "192.0.2.3" };
const CALL = { timeoutMs: 60_000 };
type Site = keyof typeof ENDPOINTS;
const PREFIXES = { eu: "10.1.0.0/16", us: "10.2.0.0/16", plant: "10.3.0.0/16" };

/** A real hub with its NATS, and agents on fake kernels. */
async function open() {
  const stack = new AsyncDisposableStack();
  const directory = stack.use(await makeTestDirectory());
  const hub = stack.use(await startHubProcess());
  const stateOf = (site: Site) => join(directory.path, site);

  async function start(site: Site, kernel?: FakeKernel, ordinal?: number): Promise<TestAgent> {
    const stateDirectory = stateOf(site);
    const membership = await ensureMembership({
      stateDirectory,
      identity: await ensureIdentity(stateDirectory),
      token: kernel === undefined ? await createToken(hub, site, ordinal) : undefined,
      clusterId: site,
      hubAddress: undefined,
      wish: { kind: ClusterKind.VM, prefixes: [PREFIXES[site]], labels: {}, ordinal },
      clock: systemClock,
      random: Math.random,
      log: createRecordingLog(),
      signal: new AbortController().signal,
    });
    const endpoints = [{ host: ENDPOINTS[site], basePort: 51820 }];
    return stack.use(
      await startTestAgent({ stateDirectory, membership, settings: { endpoints }, ...(kernel && { kernel }) }),
    );
  }
  async function peered(agents: Partial<Record<Site, TestAgent>>): Promise<void> {
    for (const [site, agent] of Object.entries(agents)) {
      for (const [other, endpoint] of Object.entries(ENDPOINTS)) {
        if (other === site || !(other in agents)) continue;
        await eventually(() => agent.kernel.toString()).toContain(`endpoint ${endpoint}:51820`);
      }
    }
  }
  const loseDisk = (site: Site) => rm(stateOf(site), { recursive: true });
  return { hub, start, peered, loseDisk, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** To take an ordinal over, the token must name it. */
async function createToken(hub: HubProcess, clusterId: string, ordinal: number | undefined) {
  const fleet = await hub.fleet();
  const { token } = await fleet.createToken({ clusterId, ...(ordinal === undefined ? {} : { ordinal }) }, CALL);
  return secretText.parse(token);
}

/** Revokes a cluster and returns the gateways that have shown its peers absent, once every reachable one has. */
async function revoke(hub: HubProcess, id: string): Promise<string[]> {
  const fleet = await hub.fleet();
  const { ended } = await fleet.revokeCluster({ id }, CALL);
  for await (const { gateways, complete } of fleet.watchAcknowledgements({ ended }, CALL)) {
    const absent = gateways.filter(({ absentAt }) => absentAt !== undefined);
    if (complete) return absent.map(({ clusterId, ordinal }) => `${clusterId}/${ordinal}`);
  }
  throw new Error("the watch ended before every gateway had acknowledged");
}

/** Ends hub and NATS at once, as a power cut does. */
async function cutPower(hub: HubProcess): Promise<void> {
  const pid = Number(await readFile(join(hub.directory, "nats/nats-server.pid"), "utf8"));
  await hub.end("SIGKILL");
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it died with its parent
  }
}

test("register, state, peer; the hub dies, an agent restarts, a third joins, one is revoked", async () => {
  await using mesh = await open();
  const [eu, us] = [await mesh.start("eu"), await mesh.start("us")];
  await mesh.peered({ eu, us });
  await eventually(() => eu.agent.state.conditions).toEqual([]);

  await cutPower(mesh.hub);
  await eu.stop();
  eu.kernel.writes = 0;
  const before = eu.kernel.toString();
  const again = await mesh.start("eu", eu.kernel);
  await eventually(() => again.agent.state.notReady).toBeUndefined();
  expect(again.kernel.toString()).toBe(before);
  expect(again.kernel.writes).toBe(0);

  await mesh.hub.start();
  const plant = await mesh.start("plant");
  await mesh.peered({ eu: again, us, plant });

  expect(await revoke(mesh.hub, "us")).toEqual(["eu/0", "plant/0"]);
  for (const { kernel } of [again, plant]) expect(kernel.toString()).not.toContain(ENDPOINTS.us);
  expect(again.kernel.toString()).toContain(ENDPOINTS.plant);
});

test("a store that was rolled back to an old copy is healed by what the agents hold", async () => {
  await using mesh = await open();
  const [eu, us] = [await mesh.start("eu"), await mesh.start("us")];
  await mesh.peered({ eu, us });
  const storeDirectory = join(mesh.hub.directory, "nats/jetstream");
  await cutPower(mesh.hub);
  await cp(storeDirectory, `${storeDirectory}.old`, { recursive: true });
  await mesh.hub.start();
  const plant = await mesh.start("plant");
  await mesh.peered({ eu, us, plant });

  await cutPower(mesh.hub);
  await rm(storeDirectory, { recursive: true });
  await rename(`${storeDirectory}.old`, storeDirectory);
  await mesh.hub.start();
  const fleet = await mesh.hub.fleet();
  await eventually(async () => (await fleet.listClusters({}, CALL)).clusters.map(({ id }) => id)).toEqual([
    "eu",
    "plant",
    "us",
  ]);
  for (const { kernel } of [eu, us]) expect(kernel.toString()).toContain(ENDPOINTS.plant);
  await eventually(() => eu.agent.state.conditions).toEqual([]);
});

test("a gateway that lost its disk takes its ordinal again with a new token", async () => {
  await using mesh = await open();
  const [eu, us] = [await mesh.start("eu"), await mesh.start("us")];
  await mesh.peered({ eu, us });
  const former = eu.kernel.toString();
  await us.stop();
  await mesh.loseDisk("us");
  const again = await mesh.start("us", undefined, 0);
  await mesh.peered({ us: again, eu });
  await eventually(() => eu.kernel.toString()).not.toBe(former);
  const peers = eu.kernel.toString().match(/peer /g);
  expect(peers).toHaveLength(1);
});
