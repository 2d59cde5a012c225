/** @module What the demo shows, step by step; each step returns what it found, or throws when it does not hold. */
import { setTimeout as delay } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Gateway, GetStatusResponse } from "@spanwire/proto/fleet";
import { describeAccount, type FlowSpec, startMeter } from "../meter/meter.ts";
import { flowsBetween } from "../netns/flows.ts";
import type { Site, Topology } from "../netns/topology.ts";
import type { DemoMesh } from "./demo-mesh.ts";
import { eventually } from "./eventually.ts";
import { pingMatrix } from "./ping.ts";
import { transfer } from "./transfer.ts";

export interface Step {
  readonly name: string;
  run(): Promise<string>;
}

export interface Findings {
  clusters: number;
  links: number;
  pingLoss: number;
  outageLoss: number;
  controlLoss: number;
  revokedEverywhereMs: number;
  rotationLoss: number;
  rotationControlLoss: number;
}

export const SITES = [
  { name: "eu", gateways: 2 },
  { name: "us", gateways: 1 },
  { name: "plant", gateways: 1, behindNat: true },
] as const;

const TRANSFER_BYTES = 4 << 20;
const OUTAGE_SECONDS = 12;
const TUNNELS_LIMIT_MS = 120_000;

/** The steps, in their order; `findings` fills as they go. */
export function tellStory(topology: Topology, mesh: DemoMesh, findings: Findings): readonly Step[] {
  const sites = SITES.map(({ name }) => topology.site(name));
  const [eu, us] = [topology.site("eu"), topology.site("us")];
  const everywhere = () => sites;

  return [
    {
      name: "hub and NATS up",
      run: () => mesh.startHub().then(() => `hub at ${topology.machine("hub").underlay.ipv4}`),
    },
    {
      name: "register three sites, four gateways",
      async run() {
        // A cluster's first gateway declares the prefixes, so it joins before its siblings.
        for (const ordinal of [0, 1]) {
          const joining = sites.flatMap((site) =>
            site.gateways.filter((each) => each.ordinal === ordinal).map((each) => ({ site, each })),
          );
          await Promise.all(joining.map(({ site, each }) => mesh.joinGateway(site, each)));
          await admitted(mesh, (status) => countGateways(status) >= (ordinal === 0 ? 3 : 4));
        }
        findings.clusters = sites.length;
        return "four gateways admitted";
      },
    },
    {
      name: "tunnels",
      async run() {
        const { links, ends } = await tunnelsUp(mesh, 4);
        findings.links = links;
        return `${links} links, ${ends} tunnel ends with a handshake`;
      },
    },
    { name: "ping between the LAN hosts", run: () => pingAll(everywhere(), findings) },
    {
      name: "TCP transfer eu -> us",
      async run() {
        const { seconds } = await transfer(hostOf(eu), hostOf(us), TRANSFER_BYTES);
        return `${TRANSFER_BYTES >> 20} MiB, same hash, ${((TRANSFER_BYTES * 8) / seconds / 1e6).toFixed(0)} Mbit/s`;
      },
    },
    { name: "us moves to another address", run: () => moveEndpoint(topology, mesh, us, eu) },
    { name: "hub and NATS killed, an agent restarted", run: () => survive(mesh, sites, eu, findings) },
    {
      name: "hub back, a fourth site joins",
      async run() {
        await mesh.startHub();
        const asia = await topology.addSite({ name: "asia", gateways: 1 });
        for (const gateway of asia.gateways) await mesh.joinGateway(asia, gateway);
        await admitted(mesh, (status) => countGateways(status) >= 5);
        findings.links = (await tunnelsUp(mesh, 5)).links;
        findings.clusters += 1;
        return pingAll([...sites, asia], findings);
      },
    },
    { name: "us revoked", run: () => revoke(mesh, us, eu, findings) },
    {
      name: "all keys rotated under traffic",
      run: () => rotate(mesh, [eu, topology.site("plant"), topology.site("asia")], findings),
    },
  ];
}

async function pingAll(sites: readonly Site[], findings: Findings): Promise<string> {
  const rows = await pingMatrix(sites);
  const lost = rows.reduce((sum, row) => sum + row.lost, 0);
  findings.pingLoss += lost;
  const dead = rows.filter(({ roundTripMs }) => roundTripMs === undefined).map(({ from, to }) => `${from} > ${to}`);
  if (dead.length > 0) throw new Error(`no answer: ${dead.join(", ")}`);
  const times = rows.map(({ roundTripMs }) => roundTripMs ?? 0);
  return `${rows.length} pairs, ${lost} lost, ${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)} ms`;
}

/** The uplink gets another address, and the agent is told; the others must follow. */
async function moveEndpoint(topology: Topology, mesh: DemoMesh, site: Site, from: Site): Promise<string> {
  const [gateway] = site.gateways;
  if (gateway === undefined) throw new Error("no gateway");
  const moved = { ...gateway, underlay: { ...gateway.underlay, ipv4: "192.0.2.200" } };
  const gatewayOfInternet = (await topology.internet.sh("ip -4 -o addr show br0")).match(/inet ([\d.]+)/)?.[1];
  await gateway.namespace.ip(
    `addr del ${gateway.underlay.ipv4}/24 dev eth0`,
    "addr add 192.0.2.200/24 dev eth0",
    `route replace default via ${gatewayOfInternet}`,
  );
  const started = performance.now();
  await mesh.endAgent(gateway, "SIGTERM");
  await mesh.startAgent(site, moved);
  await admitted(mesh, (status) => endpointsOf(status, site.name).includes("192.0.2.200"));
  await eventually("ping to the moved site", async () => {
    const rows = await pingMatrix([from, site]);
    return rows.every(({ lost }) => lost === 0);
  });
  return `followed after ${((performance.now() - started) / 1000).toFixed(1)} s`;
}

/** Traffic between all LAN hosts: a control period, then one of the same length without hub and NATS. */
async function survive(mesh: DemoMesh, sites: readonly Site[], restarted: Site, findings: Findings): Promise<string> {
  const [gateway] = restarted.gateways;
  if (gateway === undefined) throw new Error("no gateway");
  await using meter = await startMeter(flowsOf(sites));
  const control = await meter.during(() => delay(OUTAGE_SECONDS * 1000));
  const outage = await meter.during(async () => {
    const until = delay(OUTAGE_SECONDS * 1000);
    await mesh.killHub();
    await mesh.endAgent(gateway, "SIGKILL");
    await mesh.startAgent(restarted, gateway);
    await until;
  });
  findings.controlLoss = control.lost;
  findings.outageLoss = outage.lost;
  if (outage.lost > control.lost)
    throw new Error(`control: ${describeAccount(control)}\noutage: ${describeAccount(outage)}`);
  return `${outage.lost} of ${outage.sent} lost; control ${control.lost} of ${control.sent}`;
}

/** Every gateway gets a new WireGuard key; then a control period of the same length. */
async function rotate(mesh: DemoMesh, sites: readonly Site[], findings: Findings): Promise<string> {
  await using meter = await startMeter(flowsOf(sites));
  const rotation = await meter.during(async () => {
    const { request } = await mesh.fleet.rotate({}, mesh.call);
    const hasEnded = async () => {
      const { history } = await mesh.fleet.getRotation({}, mesh.call);
      return history.some((past) => past.request === request && past.endedAt !== undefined);
    };
    await eventually("the rotation ends", hasEnded, { timeoutMs: TUNNELS_LIMIT_MS, intervalMs: 200 });
  });
  const control = await meter.during(() => delay(rotation.seconds * 1_000));
  findings.rotationLoss = rotation.lost;
  findings.rotationControlLoss = control.lost;
  if (rotation.lost > control.lost)
    throw new Error(`control: ${describeAccount(control)}\nrotation: ${describeAccount(rotation)}`);
  const took = `${rotation.seconds.toFixed(1)} s`;
  return `${rotation.lost} of ${rotation.sent} lost in ${took}; control ${control.lost} of ${control.sent}`;
}

async function revoke(mesh: DemoMesh, site: Site, witness: Site, findings: Findings): Promise<string> {
  const started = performance.now();
  const { ended } = await mesh.fleet.revokeCluster({ id: site.name, reason: "demo" }, mesh.call);
  for await (const progress of mesh.fleet.watchAcknowledgements({ ended }, { timeoutMs: 60_000 })) {
    if (!progress.complete) continue;
    findings.revokedEverywhereMs = Math.round(performance.now() - started);
    const [row] = await pingMatrix([site, witness]);
    if (row?.roundTripMs !== undefined) throw new Error(`${site.name} still reaches ${witness.name}`);
    const kernels = progress.gateways.filter(({ absentAt }) => absentAt !== undefined).length;
    return `gone from ${kernels} kernels after ${findings.revokedEverywhereMs} ms, and no ping comes through`;
  }
  throw new Error("the hub stopped telling before every gateway had acknowledged");
}

async function admitted(mesh: DemoMesh, holds: (status: GetStatusResponse) => boolean): Promise<void> {
  await eventually(
    "status",
    async () => {
      await mesh.checkAgents();
      return holds(await mesh.fleet.getStatus({}, mesh.call));
    },
    { timeoutMs: TUNNELS_LIMIT_MS, intervalMs: 200 },
  );
}

interface Tunnels {
  /** Pairs of clusters. */
  readonly links: number;
  /** One for each gateway and gateway of another cluster. */
  readonly ends: number;
}

/** Waits until each of `gateways` gateways reports a handshake with every gateway of the other sites. */
async function tunnelsUp(mesh: DemoMesh, gateways: number): Promise<Tunnels> {
  let wanted: readonly End[] = [];
  await admitted(mesh, ({ status }) => {
    const all = status?.clusters.flatMap(({ id, gateways }) => gateways.map((gateway) => ({ id, gateway }))) ?? [];
    wanted = all.flatMap((from) => all.filter((to) => to.id !== from.id).map((to) => ({ from, to })));
    return all.length === gateways && wanted.every(hasHandshake);
  });
  const pairs = new Set(wanted.map(({ from, to }) => [from.id, to.id].sort().join("~")));
  return { links: pairs.size, ends: wanted.length };
}

interface End {
  readonly from: Member;
  readonly to: Member;
}

interface Member {
  /** Of its cluster. */
  readonly id: string;
  readonly gateway: Gateway;
}

function hasHandshake({ from, to }: End): boolean {
  const links = from.gateway.status?.links ?? [];
  return links.some(
    ({ clusterId, ordinal, lastHandshake }) =>
      clusterId === to.id && ordinal === to.gateway.ordinal && lastHandshake && timestampMs(lastHandshake) > 0,
  );
}

function countGateways({ status }: GetStatusResponse): number {
  return (
    status?.clusters.reduce((sum, { gateways }) => sum + gateways.filter(({ statement }) => statement).length, 0) ?? 0
  );
}

function endpointsOf({ status }: GetStatusResponse, clusterId: string): readonly string[] {
  const cluster = status?.clusters.find(({ id }) => id === clusterId);
  return cluster?.gateways.flatMap(({ statement }) => statement?.endpoints.map(({ host }) => host) ?? []) ?? [];
}

/** Between all LAN hosts. */
function flowsOf(sites: readonly Site[]): FlowSpec[] {
  const ends = sites.map(hostOf);
  return ends.flatMap((from) =>
    ends.filter((to) => to !== from).flatMap((to) => flowsBetween(from, to, { count: 2, packetsPerSecond: 25 })),
  );
}

function hostOf({ host }: Site) {
  return { namespace: host.namespace, address: host.address.ipv4 };
}
