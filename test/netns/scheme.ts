/** @module The addressing and nexthop scheme on a whole topology, and what is done to it: open, flip, close, drain. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { laneName } from "@spanwire/core/desired/lane";
import type { Plane } from "@spanwire/core/desired/state";
import { openConnection } from "@spanwire/gateway/kernel/netlink/connection";
import { setSettings } from "@spanwire/gateway/kernel/netlink/link-messages";
import { PROTOCOL } from "@spanwire/gateway/kernel/netlink/socket";
import { openKernel } from "@spanwire/gateway/kernel/open-kernel";
import type { ObservedPeer } from "@spanwire/gateway/kernel/port";

import {
  baseLines,
  type Cluster,
  FAMILIES,
  firewallText,
  type Gateway,
  type GroupKind,
  groupLine,
  laneLines,
  nexthopLine,
  planeRouteLines,
  RULE_LINE,
  range,
  routeLines,
  wgSet,
} from "./scheme-text.ts";
import type { Topology } from "./topology.ts";
import { makeWireGuardKeys, type WireGuardKeys } from "./wireguard-keys.ts";

export interface SchemeOptions {
  readonly sites: readonly string[];
  readonly maxGateways: number;
  /** Of the endpoints; a site behind NAT is always reached, and reaches others, by IPv4. */
  readonly underlay: "ipv4" | "ipv6";
  /** The site whose TCP port 7001 the others may connect to. */
  readonly server: string;
}

export interface LanePeer extends ObservedPeer {
  readonly lane: string;
}

export interface Scheme extends AsyncDisposable {
  readonly clusters: readonly Cluster[];
  readonly gateways: readonly Gateway[];
  remotesOf(gateway: Gateway): readonly Cluster[];
  /** Makes new keys for the plane on every gateway, adds all peers and waits for every handshake. */
  open(plane: Plane): Promise<void>;
  /** Sends what goes to a remote gateway by this plane, both families. */
  flip(gateway: Gateway, remote: Cluster, ordinal: number, plane: Plane): Promise<void>;
  /** Flips every gateway towards every remote gateway, each at a random moment within `spreadMs`. */
  flipAll(plane: Plane, random: () => number, spreadMs: number): Promise<void>;
  /** The plane's peers as the kernel holds them. */
  observePeers(gateway: Gateway, plane: Plane): Promise<readonly LanePeer[]>;
  /** Removes the plane's peers. */
  close(plane: Plane): Promise<void>;
  /** Sends what goes to the cluster's prefixes by these of its gateways, from every gateway. */
  setMembers(remote: Cluster, ordinals: readonly number[]): Promise<void>;
  /** Moves every prefix to groups of the kind; they start with all members. */
  setGroupKind(kind: GroupKind): Promise<void>;
}

const HANDSHAKE_LIMIT_MS = 60_000;
const POLL_MS = 100;

/** Programs every gateway of the sites, traffic on plane a. Disposing of it leaves the namespaces to the topology. */
export async function createScheme(topology: Topology, options: SchemeOptions): Promise<Scheme> {
  const { maxGateways } = options;
  let group: GroupKind = "resilient";
  const clusters = options.sites.map((name, block): Cluster => ({ site: topology.site(name), block }));
  const gateways = clusters.flatMap((cluster) =>
    cluster.site.gateways.map((machine): Gateway => ({ cluster, machine })),
  );
  const keyDirectory = await mkdtemp(join(tmpdir(), "spanwire-scheme-"));
  const keys: Record<Plane, Map<string, WireGuardKeys>> = { a: new Map(), b: new Map() };

  await Promise.all(gateways.map(makeBase));
  await open("a");
  await Promise.all(gateways.map(makeRoutes));

  return {
    clusters,
    gateways,
    remotesOf,
    open,
    flip,
    observePeers,
    async flipAll(plane, random, spreadMs) {
      await Promise.all(
        gateways.flatMap((gateway) =>
          eachRemoteGateway(gateway, async (remote, ordinal) => {
            await delay(random() * spreadMs);
            await flip(gateway, remote, ordinal, plane);
          }),
        ),
      );
    },
    async close(plane) {
      await Promise.all(
        gateways.map(async (gateway) => {
          const peers = await observePeers(gateway, plane);
          await gateway.machine.namespace.sh(
            peers.map(({ lane, publicKey }) => `wg set ${lane} peer ${publicKey} remove`).join("\n"),
          );
        }),
      );
    },
    async setMembers(remote, ordinals) {
      await Promise.all(
        gateways.filter(({ cluster }) => cluster !== remote).map((from) => setGroup(from, remote, ordinals)),
      );
    },
    async setGroupKind(kind) {
      group = kind;
      await Promise.all(gateways.map(routeToRemotes));
    },
    async [Symbol.asyncDispose]() {
      await rm(keyDirectory, { recursive: true, force: true });
    },
  };

  function remotesOf({ cluster }: Gateway): Cluster[] {
    return clusters.filter((each) => each !== cluster);
  }

  async function makeBase(gateway: Gateway): Promise<void> {
    const { namespace } = gateway.machine;
    const remotes = remotesOf(gateway);
    namespace.sysctl({ "ipv4/fib_multipath_hash_policy": 1, "ipv6/fib_multipath_hash_policy": 1 });
    // Of IPv6 only this one counts; of IPv4 each device has its own, set below.
    namespace.sysctl({ "ipv6/conf/all/forwarding": 1 });
    await namespace.sh(`nft -f - <<'END'${firewallText(gateway, remotes, options.server)}END`);
    await namespace.ip(...baseLines(gateway, remotes), RULE_LINE);
    await namespace.ip6(RULE_LINE);
    await setDevices(gateway, ["lan"], 1);
  }

  async function makeRoutes(gateway: Gateway): Promise<void> {
    await Promise.all(eachRemoteGateway(gateway, (remote, ordinal) => flip(gateway, remote, ordinal, "a")));
    await routeToRemotes(gateway);
  }

  async function routeToRemotes(gateway: Gateway): Promise<void> {
    const { namespace } = gateway.machine;
    for (const remote of remotesOf(gateway)) {
      await setGroup(gateway, remote, range(remote.site.gateways.length));
      await namespace.ip(...FAMILIES.flatMap((family) => routeLines(gateway, remote, family, group)));
    }
  }

  async function open(plane: Plane): Promise<void> {
    const first = keys[plane].size === 0;
    await Promise.all(
      gateways.map(async ({ machine: { name } }) => {
        const pair = makeWireGuardKeys();
        keys[plane].set(name, pair);
        await writeFile(join(keyDirectory, `${name}-${plane}`), pair.privateKey, { mode: 0o600 });
      }),
    );
    await Promise.all(gateways.map((gateway) => makePlane(gateway, plane, first)));
    await Promise.all(gateways.map((gateway) => waitForHandshakes(gateway, plane)));
  }

  async function makePlane(gateway: Gateway, plane: Plane, first: boolean): Promise<void> {
    const { namespace, name } = gateway.machine;
    const remotes = remotesOf(gateway);
    if (first) {
      await namespace.ip(...laneLines(gateway, plane, maxGateways), ...planeRouteLines(gateway, remotes, plane));
      await setDevices(
        gateway,
        range(maxGateways).map((ordinal) => laneName(plane, ordinal)),
        2,
      );
    }
    const keyFile = join(keyDirectory, `${name}-${plane}`);
    const publicKey = ({ name: of }: { name: string }) => keys[plane].get(of)?.publicKey ?? "";
    const lanes = range(maxGateways).map((ordinal) =>
      wgSet(gateway, remotes, { plane, ordinal, keyFile }, publicKey, endpoint),
    );
    await namespace.sh(lanes.join("\n"));
  }

  function endpoint(from: Gateway, to: Cluster, machine: Gateway["machine"]): string | undefined {
    if (to.site.router !== undefined) return undefined;
    return machine.underlay[from.cluster.site.router === undefined ? options.underlay : "ipv4"];
  }

  async function waitForHandshakes(gateway: Gateway, plane: Plane): Promise<void> {
    const deadline = performance.now() + HANDSHAKE_LIMIT_MS;
    for (;;) {
      const peers = await observePeers(gateway, plane);
      const missing = peers.filter(({ lastHandshakeMs }) => lastHandshakeMs === undefined).map(({ lane }) => lane);
      if (missing.length === 0) return;
      if (performance.now() > deadline) throw new Error(`${gateway.machine.name}: no handshake: ${missing.join(", ")}`);
      await delay(POLL_MS);
    }
  }

  /** By netlink: a `wg` for every look would keep the lab's VM busy with nothing else. */
  async function observePeers({ machine }: Gateway, plane: Plane): Promise<LanePeer[]> {
    await using kernel = openKernel({ dataplane: { kind: "kernel" }, netns: `/run/netns/${machine.namespace.name}` });
    const peers: LanePeer[] = [];
    for (const ordinal of range(maxGateways)) {
      const lane = laneName(plane, ordinal);
      const device = await kernel.wireguard.observe(lane);
      for (const peer of device?.peers ?? []) peers.push({ ...peer, lane });
    }
    return peers;
  }

  async function flip({ machine }: Gateway, remote: Cluster, ordinal: number, plane: Plane): Promise<void> {
    await Promise.all([
      machine.namespace.ip(nexthopLine(remote, ordinal, plane, "ipv4")),
      machine.namespace.ip6(nexthopLine(remote, ordinal, plane, "ipv6")),
    ]);
  }

  async function setGroup({ machine }: Gateway, remote: Cluster, ordinals: readonly number[]): Promise<void> {
    await machine.namespace.ip(...FAMILIES.map((family) => groupLine(remote, ordinals, family, group)));
  }

  function eachRemoteGateway<T>(gateway: Gateway, act: (remote: Cluster, ordinal: number) => Promise<T>): Promise<T>[] {
    return remotesOf(gateway).flatMap((remote) => remote.site.gateways.map(({ ordinal }) => act(remote, ordinal)));
  }
}

/** By netlink, as a gateway does it that may not write /proc/sys: forwarding per device, ip_forward stays 0. */
async function setDevices({ machine }: Gateway, devices: readonly string[], rpFilter: 1 | 2): Promise<void> {
  using netlink = openConnection({ protocol: PROTOCOL.route, netns: `/run/netns/${machine.namespace.name}` });
  for (const device of devices) {
    const failure = await netlink.request(setSettings({ device, rpFilter, forwarding: true }));
    if (failure !== undefined) throw new Error(`${machine.name}: settings of ${device}: ${failure.said}`);
  }
}
