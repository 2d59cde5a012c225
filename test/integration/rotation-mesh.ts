/** @module A mesh for rotations: a real hub and NATS, whole agents on kernels in memory, and a witness of what they send. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { findLane, planeOfEpoch } from "@spanwire/core/desired/lane";
import { gatewayNexthopId } from "@spanwire/core/desired/nexthop-id";
import type { Plane } from "@spanwire/core/desired/state";
import { ensureIdentity } from "@spanwire/gateway/identity/gateway-identity";
import { ensureMembership } from "@spanwire/gateway/join/join";
import { FakeKernel } from "@spanwire/gateway/kernel/fake/fake-kernel";
import { FakeNetwork } from "@spanwire/gateway/liveness/fake-network";
import type { OpenProbeSocket } from "@spanwire/gateway/liveness/probe-socket";
import { makeTestDirectory, startTestAgent, type TestAgent } from "@spanwire/gateway/testing";
import { ClusterKind } from "@spanwire/proto/record";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { secretText } from "@spanwire/runtime/config/secret-text";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { type HubProcess, startHubProcess } from "./hub-process.ts";

/** The blocks of the clusters, in the order in which they join. */
export const CLUSTERS = ["eu", "us", "plant", "asia"] as const;
export type ClusterId = (typeof CLUSTERS)[number];

export interface Gateway {
  readonly host: string;
  readonly cluster: ClusterId;
  readonly ordinal: number;
  readonly kernel: FakeKernel;
  readonly directory: string;
  agent: TestAgent | undefined;
}

export interface RotationMesh extends AsyncDisposable {
  readonly hub: HubProcess;
  readonly gateways: readonly Gateway[];
  join(cluster: ClusterId, ordinal: number): Promise<Gateway>;
  /** Starts the agent of a gateway that was stopped, on the kernel that it left. */
  start(gateway: Gateway): Promise<void>;
  /** Ends the agent; the kernel stays. */
  stop(gateway: Gateway): Promise<void>;
  /** Cuts the host of a gateway off, or connects it again. */
  cut(gateway: Gateway, isCut: boolean): void;
  /** Leaves a gateway to itself: neither witness nor `unsettled` looks at it any more. */
  forget(gateway: Gateway): void;
  /** Epochs of the private keys on the disk of a gateway. */
  keysOf(gateway: Gateway): Promise<readonly string[]>;
  /** Every moment since the last call at which one sent what the other could not take. */
  losses(): readonly string[];
}

/** For hub and agents: how long somebody may be silent without counting as away. */
export const ABSENT_MS = 4_000;
export const DRAIN_MS = 300;
const WITNESS_MS = 10;

export async function openRotationMesh(): Promise<RotationMesh> {
  await using opening = new AsyncDisposableStack();
  const directory = opening.use(await makeTestDirectory());
  const env = { SPANWIRE_HUB_ROTATION_ABSENT_AFTER_SECONDS: `${ABSENT_MS / 1_000}` };
  const hub = opening.use(await startHubProcess([], { env }));
  const network = new FakeNetwork({ clock: systemClock });
  const gateways: Gateway[] = [];
  const forgotten: Gateway[] = [];
  const away = new Set<Gateway>();
  const known = new Set<string>();
  const losses = new Set<string>();

  /** A probe passes where both kernels have the peer, with the key that the other's device has. */
  const openFor =
    (gateway: Gateway): OpenProbeSocket =>
    async (options) => {
      const socket = await network.open(options);
      const send = async (to: string, bytes: Uint8Array) => {
        const [other, plane] = ownerOf(gateways, to);
        if (other === undefined || away.has(gateway) || away.has(other)) return;
        if (await isTunnel(gateway, other, plane)) await socket.send(to, bytes);
      };
      return { ...socket, send };
    };

  async function start(gateway: Gateway): Promise<void> {
    const { cluster, ordinal, kernel, directory: stateDirectory } = gateway;
    const identity = await ensureIdentity(stateDirectory);
    const log = createRecordingLog();
    const fleet = await hub.fleet();
    const isNew = !known.has(nameOf(gateway));
    const request = { clusterId: cluster, ordinal };
    const token = isNew ? (await fleet.createToken(request, { timeoutMs: 60_000 })).token : undefined;
    known.add(nameOf(gateway));
    const membership = await ensureMembership({
      ...{ stateDirectory, identity, log, clusterId: cluster },
      token: token === undefined ? undefined : secretText.parse(token),
      hubAddress: undefined,
      wish: { kind: ClusterKind.VM, prefixes: [`10.${CLUSTERS.indexOf(cluster)}.0.0/16`], labels: {}, ordinal },
      clock: systemClock,
      random: Math.random,
      signal: new AbortController().signal,
    });
    gateway.agent = await startTestAgent({
      ...{ stateDirectory, membership, kernel },
      openProbeSocket: openFor(gateway),
      settings: {
        endpoints: [{ host: gateway.host, basePort: 51_820 }],
        ...{ statusEveryMs: 500, lookEveryMs: 1_000 },
        rotation: { drainMs: DRAIN_MS, absentAfterMs: ABSENT_MS },
      },
    });
  }

  const witness = setInterval(() => {
    const present = gateways.filter((gateway) => !away.has(gateway));
    void findLosses(present).then((found) => {
      for (const each of found) losses.add(each);
    });
  }, WITNESS_MS);
  opening.defer(() => clearInterval(witness));
  opening.defer(async () => {
    for (const { agent } of [...gateways, ...forgotten]) await agent?.stop();
  });

  const resources = opening.move();
  return {
    ...{ hub, gateways, start },
    async join(cluster, ordinal) {
      const path = join(directory.path, `${cluster}${ordinal}`);
      const host = `192.0.2.${1 + 2 * CLUSTERS.indexOf(cluster) + ordinal}`;
      const gateway: Gateway = { cluster, ordinal, host, kernel: new FakeKernel(), directory: path, agent: undefined };
      gateways.push(gateway);
      await start(gateway);
      return gateway;
    },
    async stop(gateway) {
      await gateway.agent?.stop();
      gateway.agent = undefined;
    },
    cut(gateway, isCut) {
      if (isCut) away.add(gateway);
      else away.delete(gateway);
    },
    forget(gateway) {
      gateways.splice(gateways.indexOf(gateway), 1);
      forgotten.push(gateway);
    },
    async keysOf({ directory: path }) {
      const names = await readdir(path);
      return names.filter((name) => name.startsWith("wireguard-")).sort();
    },
    losses() {
      const found = [...losses].sort();
      losses.clear();
      return found;
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** What keeps the running gateways from being on this epoch alone: how they send, peers, lanes, keys. Empty when all are. */
export async function unsettled({ gateways, keysOf }: RotationMesh, epoch: bigint): Promise<readonly string[]> {
  const plane = planeOfEpoch(epoch);
  const found: string[] = [];
  for (const gateway of gateways.filter(({ agent }) => agent !== undefined)) {
    const name = nameOf(gateway);
    const keys = await keysOf(gateway);
    if (keys.join() !== `wireguard-${epoch}.key`) found.push(`${name} has ${keys}`);
    const lanes = lanesOf(gateway).filter((lane) => !lane.startsWith(`sw-${plane}`));
    if (lanes.length > 0) found.push(`${name} has ${lanes}`);
    for (const other of others(gateways, gateway)) {
      if ((await sendingPlane(gateway, other)) !== plane) found.push(`${name} does not send to ${nameOf(other)}`);
      if (!(await isTunnel(gateway, other, plane))) found.push(`${name} has no tunnel to ${nameOf(other)}`);
    }
  }
  return found;
}

export function nameOf({ cluster, ordinal }: Gateway): string {
  return `${cluster}/${ordinal}`;
}

/** Of the clusters that a gateway has tunnels to. */
function others(gateways: readonly Gateway[], { cluster }: Gateway): readonly Gateway[] {
  return gateways.filter((other) => other.cluster !== cluster);
}

/** A moment counts once both send to each other: before, the tunnel is only being made. */
async function findLosses(gateways: readonly Gateway[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const gateway of gateways) {
    for (const other of others(gateways, gateway)) {
      const [plane, back] = await Promise.all([sendingPlane(gateway, other), sendingPlane(other, gateway)]);
      if (plane === undefined || back === undefined) continue;
      if (!(await isTunnel(gateway, other, plane))) found.push(`${nameOf(gateway)} to ${nameOf(other)} on ${plane}`);
    }
  }
  return found;
}

async function isTunnel(from: Gateway, to: Gateway, plane: Plane): Promise<boolean> {
  const [near, far] = await Promise.all([
    from.kernel.wireguard.observe(`sw-${plane}${to.ordinal}`),
    to.kernel.wireguard.observe(`sw-${plane}${from.ordinal}`),
  ]);
  const has = (device: typeof near, key: string | undefined) =>
    device?.peers.some(({ publicKey }) => publicKey === key);
  return has(near, far?.publicKey) === true && has(far, near?.publicKey) === true;
}

/** By the nexthop object of the other gateway; undefined while there is none. */
async function sendingPlane({ kernel }: Gateway, { cluster, ordinal }: Gateway): Promise<Plane | undefined> {
  const id = gatewayNexthopId(CLUSTERS.indexOf(cluster), ordinal, "ipv4");
  const { nexthops } = await kernel.network.observe();
  const nexthop = nexthops.find((each) => each.id === id);
  return nexthop?.kind === "device" ? findLane(nexthop.device)?.plane : undefined;
}

function lanesOf({ kernel }: Gateway): readonly string[] {
  return [...new Set(kernel.toString().match(/\bsw-[ab]\d/g))];
}

/** The gateway that has this plane address: 198.18.0.0/15, a /26 for each cluster, 16 addresses for each plane. */
function ownerOf(gateways: readonly Gateway[], address: string): readonly [Gateway | undefined, Plane] {
  const last = Number(address.split(".")[3]);
  const plane = last % 64 < 32 ? "a" : "b";
  const owner = gateways.find(
    ({ cluster, ordinal }) => CLUSTERS.indexOf(cluster) === Math.floor(last / 64) && ordinal === last % 16,
  );
  return [owner, plane];
}
