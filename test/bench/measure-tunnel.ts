/** @module Links between pairs of sites in one kernel, by Spanwire and by hand, measured in turn. */
import { mkdtemp, rm } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { DemoMesh } from "../demo/demo-mesh.ts";
import { eventually } from "../demo/eventually.ts";
import { execute } from "../lab/execute.ts";
import { WIREGUARD_GO_VERSION, wireguardGoPath } from "../lab/wireguard-go.ts";
import { enterForGood } from "../netns/enter-for-good.ts";
import { createTopology, type Site } from "../netns/topology.ts";
import { copyFirewall, linkByHand } from "./hand-made-link.ts";
import { onlyGateway } from "./only-gateway.ts";
import { median } from "./statistics.ts";
import { openStream, type Stream } from "./stream.ts";

/** "nft": by hand with Spanwire's firewall rules. */
export type Kind = "spanwire" | "nft" | "bare" | "userspace";

export interface Sample {
  readonly bytesPerSecond: number;
  /** Of pings, median. */
  readonly roundTripMs: number;
}

export type Round = Readonly<Partial<Record<Kind, Sample>>>;

export interface TunnelOptions {
  /** The bundle to run with node. */
  readonly spanwire: string;
  readonly pairs: number;
  /** Rounds that measure userspace, too: it has no target, and takes its time. */
  readonly userspacePairs: number;
  readonly ms: number;
  readonly pings: number;
  readonly report: (line: string) => void;
}

/** Two sites for each kind, named by its first letter. */
const SITES: readonly (readonly [Kind, string, string])[] = [
  ["spanwire", "s1", "s2"],
  ["nft", "n1", "n2"],
  ["bare", "b1", "b2"],
  ["userspace", "u1", "u2"],
];
const TUNNEL_LIMIT_MS = 180_000;

export async function measureTunnel(options: TunnelOptions): Promise<readonly Round[]> {
  const { spanwire, pairs, userspacePairs, ms, pings, report } = options;
  await using cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "spanwire-tunnel-"));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const sites = SITES.flatMap(([, ...names]) => names.map((name) => ({ name, gateways: 1 })));
  const topology = cleanup.use(await createTopology({ sites, machines: ["hub"] }));
  const hub = topology.machine("hub");
  enterForGood(hub.namespace); // this process is the operator's from here on
  const pairOf = (kind: Kind): readonly [Site, Site] => {
    const [, a, b] = SITES.find(([each]) => each === kind) ?? [kind, "", ""];
    return [topology.site(a), topology.site(b)];
  };

  const mesh = cleanup.use(new DemoMesh({ spanwire, hub, directory, dataplane: "kernel", keep: false }));
  await mesh.startHub();
  for (const site of pairOf("spanwire")) await mesh.joinGateway(site, onlyGateway(site));
  await reaches(pairOf("spanwire"));
  const lane = await laneOf(pairOf("spanwire")[0]);
  const { stdout } = await execute([await wireguardGoPath(), "--version"]);
  report(`kernel ${release()}, ${stdout.split("\n", 1)[0]} (${WIREGUARD_GO_VERSION})`);
  report(`Spanwire's link is up: lane of ${lane.mtuBytes} bytes, fwmark ${lane.fwmark}`);

  for (const kind of ["nft", "bare", "userspace"] as const) {
    const wireguardGo = kind === "userspace" ? { wireguardGo: await wireguardGoPath() } : {};
    const programs = await linkByHand({ sites: pairOf(kind), ...lane, directory, ...wireguardGo });
    for (const program of programs) cleanup.defer(() => program.end("SIGKILL"));
  }
  await copyFirewall(pairOf("spanwire"), pairOf("nft"));
  const streams = new Map<Kind, Stream>();
  for (const [kind] of SITES) {
    await reaches(pairOf(kind));
    streams.set(kind, cleanup.use(await openStream(...pairOf(kind))));
  }

  const before = await laneOf(pairOf("spanwire")[1]);
  const measure = async (kind: Kind): Promise<Sample> => ({
    bytesPerSecond: (await streams.get(kind)?.fill(ms)) ?? Number.NaN,
    roundTripMs: await roundTripMs(pairOf(kind), pings),
  });
  const rounds: Round[] = [];
  for (let n = 0; n <= pairs; n++) {
    const kinds = SITES.map(([kind]) => kind).filter((kind) => kind !== "userspace" || n <= userspacePairs);
    const round: Partial<Record<Kind, Sample>> = {};
    // Each kind is first as often as the others: what comes first finds caches and queues as another left them.
    for (let turn = 0; turn < kinds.length; turn++) {
      const kind = kinds[(n + turn) % kinds.length] ?? "spanwire";
      round[kind] = await measure(kind);
    }
    if (n === 0) continue; // windows are not open yet
    rounds.push(round);
    report(`  ${n}: ${describe(round)}`);
  }
  const { receivedBytes } = await laneOf(pairOf("spanwire")[1]);
  const least = rounds.reduce((sum, { spanwire: sample }) => sum + ((sample?.bytesPerSecond ?? 0) * ms) / 1_000, 0);
  if (receivedBytes - before.receivedBytes < least) throw new Error("Spanwire's traffic did not come by its lane");
  return rounds;
}

async function reaches([from, to]: readonly [Site, Site]): Promise<void> {
  const said = () => from.host.namespace.sh(`ping -n -c 1 -W 2 ${to.host.address.ipv4}`);
  await eventually(`ping ${from.name} > ${to.name}`, said, { timeoutMs: TUNNEL_LIMIT_MS });
}

async function roundTripMs([from, to]: readonly [Site, Site], pings: number): Promise<number> {
  const said = await from.host.namespace.sh(`ping -n -c ${pings} -i 0.02 ${to.host.address.ipv4}`);
  return median([...said.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms)));
}

/** The lane that carries the link, as `ip` and `wg` show it. */
async function laneOf(site: Site): Promise<{ mtuBytes: number; fwmark: string; receivedBytes: number }> {
  const { namespace } = onlyGateway(site);
  const mtuBytes = Number(/mtu (\d+)/.exec(await namespace.sh("ip link show sw-a0"))?.[1]);
  const fwmark = (await namespace.sh("wg show sw-a0 fwmark")).trim();
  const [, receivedBytes = 0] = (await namespace.sh("wg show sw-a0 transfer")).trim().split(/\s+/).map(Number);
  return { mtuBytes, fwmark, receivedBytes };
}

function describe(round: Round): string {
  const texts = Object.entries(round).map(
    ([kind, { bytesPerSecond, roundTripMs: ms }]) =>
      `${kind} ${toMbit(bytesPerSecond).toFixed(0)} Mbit/s ${ms.toFixed(2)} ms`,
  );
  return texts.join(", ");
}

export function toMbit(bytesPerSecond: number): number {
  return (bytesPerSecond * 8) / 1e6;
}
