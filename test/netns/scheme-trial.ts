/** @module A topology, the scheme on it, and the meter between its ends: what each test of the scheme stands on. */
import type { Plane } from "@spanwire/core/desired/state";

import { type Account, describeAccount, type FlowSpec, startMeter } from "../meter/meter.ts";
import { seed } from "./config.ts";
import { type End, type FlowRate, flowsBetween } from "./flows.ts";
import { createScheme, type LanePeer, type Scheme, type SchemeOptions } from "./scheme.ts";
import { type Cluster, FAMILIES, type Gateway, overlayText } from "./scheme-text.ts";
import { seededRandom } from "./seeded-random.ts";
import { createTopology, type SiteSpec, type Topology } from "./topology.ts";

export interface TrialOptions extends Omit<SchemeOptions, "sites" | "server"> {
  readonly sites: readonly SiteSpec[];
  /** Between the LAN hosts of each pair of sites, in each direction and family. */
  readonly lanFlows: FlowRate;
  /** Between the stable addresses of gateways of different sites, in each direction and family. */
  readonly stableFlows: FlowRate;
}

export interface Trial extends AsyncDisposable {
  readonly topology: Topology;
  readonly scheme: Scheme;
  readonly random: () => number;
  /** The plane in use. */
  readonly active: Plane;
  cluster(name: string): Cluster;
  gateway(site: string, ordinal: number): Gateway;
  hostEnd(site: string, family: "ipv4" | "ipv6"): End;
  /** Runs the action under traffic, prints the account with its name, and returns it. */
  measure(name: string, action: () => Promise<unknown>, options?: { readonly lateMs?: number }): Promise<Account>;
  /** A whole rotation: new keys on the other plane, every direction flipped at its own moment, the old plane closed. */
  rotate(): Promise<void>;
  /** The peers of the plane in use, of every gateway. */
  peersInUse(): Promise<readonly (LanePeer & { readonly of: string })[]>;
}

const FLIP_SPREAD_MS = 1000;

/** Builds it all; the first site is the server of the policy's TCP port. */
export async function startTrial(options: TrialOptions): Promise<Trial> {
  await using building = new AsyncDisposableStack();
  const names = options.sites.map(({ name }) => name);
  const used = seed();
  const random = seededRandom(used);
  say(`seed ${used} (SPANWIRE_SEED repeats it)`);

  const topology = building.use(await createTopology({ sites: options.sites }));
  const scheme = building.use(await createScheme(topology, { ...options, sites: names, server: names[0] ?? "" }));
  const meter = building.use(await startMeter([...lanFlows(), ...stableFlows()]));
  const resources = building.move();
  let active: Plane = "a";

  return {
    topology,
    scheme,
    random,
    get active() {
      return active;
    },
    cluster,
    gateway(site, ordinal) {
      const machine = topology.site(site).gateways[ordinal];
      if (machine === undefined) throw new Error(`no gateway ${site}${ordinal}`);
      return { cluster: cluster(site), machine };
    },
    hostEnd,
    async measure(name, action, during) {
      const account = await meter.during(action, during);
      say(`${name}: ${describeAccount(account)}`);
      return account;
    },
    async rotate() {
      const next = otherPlane(active);
      await scheme.open(next);
      await scheme.flipAll(next, random, FLIP_SPREAD_MS);
      await scheme.close(active);
      active = next;
    },
    async peersInUse() {
      const perGateway = await Promise.all(
        scheme.gateways.map(async (gateway) => {
          const peers = await scheme.observePeers(gateway, active);
          return peers.map((peer) => ({ ...peer, of: gateway.machine.name }));
        }),
      );
      return perGateway.flat();
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };

  function cluster(name: string): Cluster {
    const found = scheme.clusters.find(({ site }) => site.name === name);
    if (found === undefined) throw new Error(`no cluster ${name}`);
    return found;
  }

  function hostEnd(site: string, family: "ipv4" | "ipv6"): End {
    const { host } = topology.site(site);
    return { namespace: host.namespace, address: host.address[family] };
  }

  function lanFlows(): FlowSpec[] {
    return FAMILIES.flatMap((family) =>
      names.flatMap((from) =>
        names
          .filter((to) => to !== from)
          .flatMap((to) => flowsBetween(hostEnd(from, family), hostEnd(to, family), options.lanFlows)),
      ),
    );
  }

  function stableFlows(): FlowSpec[] {
    const end = ({ cluster: of, machine: { namespace, ordinal } }: Gateway, family: "ipv4" | "ipv6"): End => {
      return { namespace, address: overlayText(of, "stable", ordinal, family) };
    };
    return FAMILIES.flatMap((family) =>
      scheme.gateways.flatMap((from) =>
        scheme.gateways
          .filter((to) => to.cluster !== from.cluster)
          .flatMap((to) => flowsBetween(end(from, family), end(to, family), options.stableFlows)),
      ),
    );
  }
}

/** How many packets of one family an account lost. */
export function lostIn({ flows }: Account, family: "ipv4" | "ipv6"): number {
  return flows
    .filter(({ spec }) => spec.to.address.includes(":") === (family === "ipv6"))
    .reduce((sum, { lost }) => sum + lost, 0);
}

export function otherPlane(plane: Plane): Plane {
  return plane === "a" ? "b" : "a";
}

/** Prints what was seen: numbers for the decision record. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
