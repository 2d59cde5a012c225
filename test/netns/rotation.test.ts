/**
 * Rotations under traffic, on a real kernel: real hub, NATS and agents, LAN hosts that talk to each other by UDP and TCP.
 * Not one packet may be lost. `--n N` of `npm test` for more rotations.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ensureIdentity } from "@spanwire/gateway/identity/gateway-identity";
import { ensureMembership } from "@spanwire/gateway/join/join";
import type { Membership } from "@spanwire/gateway/join/membership";
import { type RunningHub, startHub } from "@spanwire/hub/testing";
import { ClusterKind } from "@spanwire/proto/record";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { secretText } from "@spanwire/runtime/config/secret-text";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { eventually } from "../demo/eventually.ts";
import { findPorts } from "../lab/find-ports.ts";
import { type Account, describeAccount, type Meter, startMeter } from "../meter/meter.ts";
import { startAgent } from "./agent-of-gateway.ts";
import { repeats } from "./config.ts";
import { type End, flowsBetween } from "./flows.ts";
import { startTcpFlow, type TcpFlow } from "./tcp-flow.ts";
import { createTopology, type GatewayMachine, type Site, type Topology } from "./topology.ts";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });
const ROTATIONS = repeats(1);
const SITES = [
  { name: "eu", gateways: 2 },
  { name: "us", gateways: 1 },
  { name: "plant", gateways: 1 },
];
/** 200 packets a second each way between any two sites, in flows that may take different gateways. */
const RATE = { count: 4, packetsPerSecond: 50 };
/** So that CI has time for more than the drain. */
const ROTATION = { drainMs: 2_000, absentAfterMs: 300_000 };
const LIMIT = { timeoutMs: 480_000, intervalMs: 200 };
const CALL = { timeoutMs: 60_000 };

const open = new AsyncDisposableStack();
let directory: string;
let topology: Topology;
let ports: readonly number[];
let hub: RunningHub;
let meter: Meter;
let hosts: readonly End[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-rotation-"));
  open.defer(() => rm(directory, { recursive: true, force: true }));
  topology = open.use(await createTopology({ sites: SITES }));
  ports = await findPorts(3);
  hub = await openHub();
  open.defer(() => hub.stop());
  const machines = SITES.flatMap(({ name }) => {
    const site = topology.site(name);
    return site.gateways.map((machine) => ({ site, machine }));
  });
  await Promise.all(machines.map(async (each) => open.use(await joinMesh(each))));
  hosts = SITES.map(({ name }) => {
    const { namespace, address } = topology.site(name).host;
    return { namespace, address: address.ipv4 };
  });
  const pairs = hosts.flatMap((from) => hosts.flatMap((to) => (from === to ? [] : [[from, to] as const])));
  meter = open.use(await startMeter(pairs.flatMap(([from, to]) => flowsBetween(from, to, RATE))));
  await untilNothingIsLost();
});
afterAll(() => open.disposeAsync());

/** On the same state and ports each time. */
function openHub(): Promise<RunningHub> {
  const [registrationPort, fleetPort, port] = ports;
  return startHub({ dir: join(directory, "hub"), registrationPort, fleetPort, nats: { port } });
}

async function joinMesh({ site, machine }: { readonly site: Site; readonly machine: GatewayMachine }) {
  const stateDirectory = join(directory, machine.name);
  machine.namespace.sysctl({ "ipv4/conf/lan/forwarding": 1 });
  let membership: Membership | undefined;
  const admitted = async () => {
    const { ordinal } = machine;
    const { token } = await hub.fleet.createToken({ clusterId: site.name, ordinal }, CALL);
    membership = await ensureMembership({
      ...{ stateDirectory, identity: await ensureIdentity(stateDirectory) },
      ...{ token: secretText.parse(token), clusterId: site.name, hubAddress: undefined },
      wish: { kind: ClusterKind.VM, prefixes: [site.prefix.ipv4], labels: {}, ordinal },
      ...{ clock: systemClock, random: Math.random, log: createRecordingLog() },
      signal: new AbortController().signal,
    });
  };
  return await startAgent({
    ...{ machine, stateDirectory, admitted, cluster: site.name },
    settings: {
      endpoints: [{ host: machine.underlay.ipv4, basePort: 51_820 }],
      ...{ ipv6: "guarded", rotation: ROTATION, lookEveryMs: 5_000 },
    },
    membership: () => membership ?? expect.fail("not admitted"),
    resolve: async () => [],
  });
}

async function untilNothingIsLost(): Promise<void> {
  const isWhole = async () => tell("before", await meter.during(() => delay(2_000), { lateMs: 500 })).lost === 0;
  await eventually("packets pass between all sites", isWhole, LIMIT);
}

/** From the request until everybody is on the new epoch; a hub that is away is asked again. */
async function rotate(): Promise<void> {
  const { request } = await hub.fleet.rotate({}, CALL);
  const hasEnded = async () => {
    const { history, epoch, phases, laggards } = await hub.fleet.getRotation({}, CALL);
    if (history.some((past) => past.request === request && past.endedAt !== undefined && !past.aborted)) return true;
    const waits = laggards.map(({ clusterId, ordinal, otherClusterId, otherOrdinal, reason }) => {
      return `${clusterId}/${ordinal} ${otherClusterId}/${otherOrdinal}: ${reason}`;
    });
    throw new Error(
      `state ${epoch?.state}, ${phases.map(({ phase, pairs }) => `${phase}: ${pairs}`)}; ${waits.join("; ")}`,
    );
  };
  await eventually("the rotation ends", hasEnded, LIMIT);
}

function tell(what: string, account: Account): Account {
  process.stderr.write(`${what}: ${describeAccount(account)}\n`);
  return account;
}

async function startTcp(): Promise<readonly TcpFlow[]> {
  const [eu, us, plant] = hosts;
  if (eu === undefined || us === undefined || plant === undefined) throw new Error("three sites");
  return await Promise.all([
    startTcpFlow(eu, us, 7_001),
    startTcpFlow(plant, eu, 7_002),
    startTcpFlow(us, plant, 7_003),
  ]);
}

test(`${ROTATIONS} rotations lose nothing, as the same time without one; TCP lives through all of them`, async () => {
  const tcp = await startTcp();
  let [lost, sent, seconds] = [0, 0, 0];
  for (let n = 1; n <= ROTATIONS; n++) {
    const account = tell(`rotation ${n}`, await meter.during(rotate));
    lost += account.lost;
    sent += account.sent;
    seconds += account.seconds;
  }
  const control = tell("control", await meter.during(() => delay(seconds * 1_000)));
  const bytes = await Promise.all(tcp.map((flow) => flow.finish()));
  process.stderr.write(`${ROTATIONS} rotations: ${lost} of ${sent} packets lost, tcp ${bytes} bytes\n`);
  expect({ lost, control: control.lost }).toEqual({ lost: 0, control: 0 });
  expect(sent).toBeGreaterThan(0);
});
