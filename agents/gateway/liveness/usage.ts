/** @module What each remote gateway is to us: whether another could take its traffic, and whether there is any. */
import type { Compiled } from "@spanwire/core/desired/compile";
import { findLane } from "@spanwire/core/desired/lane";
import type { Peer } from "@spanwire/core/desired/state";
import type { Use } from "@spanwire/core/liveness/pace";
import { countTraffic, hasTraffic, type Traffic } from "@spanwire/core/liveness/traffic";
import type { ObservedWireGuard } from "../kernel/port.ts";

export interface Look {
  /** WireGuard devices by name, as observed. */
  readonly devices: ReadonlyMap<string, ObservedWireGuard>;
  /** How many probes came from the gateway ("us.0") and went to it. */
  readonly probes: (gateway: string) => number;
  readonly nowMs: number;
}

/** Nothing is kept for a cluster that has one gateway. */
export class Usage {
  readonly #byCluster = new Map<string, ReadonlyMap<string, Watched>>();
  readonly #byGateway = new Map<string, Watched>();

  /** Takes each wish in. */
  want({ desired, changed }: Pick<Compiled, "desired" | "changed">): void {
    for (const id of changed) this.#setPeers(id, desired.clusters.get(id)?.peers ?? []);
  }

  /** Counts what has passed; returns the gateways of which `of` says something else now. */
  look({ devices, probes, nowMs }: Look): readonly string[] {
    if (this.#byGateway.size === 0) return [];
    const bytes = bytesByPeer(devices);
    const changed: string[] = [];
    for (const [gateway, watched] of this.#byGateway) {
      const sum = watched.peers.reduce(
        (total, peer) => total + (bytes.get(keyOf(peer.device, peer.publicKey)) ?? 0),
        0,
      );
      watched.traffic = countTraffic(watched.traffic, { bytes: sum, probes: probes(gateway) }, nowMs);
      const has = hasTraffic(watched.traffic, nowMs);
      if (has !== watched.hasTraffic) changed.push(gateway);
      watched.hasTraffic = has;
    }
    return changed;
  }

  /** As of the last look. */
  of(gateway: string): Pick<Use, "hasAlternative" | "hasTraffic"> {
    const watched = this.#byGateway.get(gateway);
    return watched === undefined ? ALONE : { hasAlternative: true, hasTraffic: watched.hasTraffic };
  }

  #setPeers(clusterId: string, peers: readonly Peer[]): void {
    const former = this.#byCluster.get(clusterId) ?? new Map<string, Watched>();
    for (const gateway of former.keys()) this.#byGateway.delete(gateway);
    this.#byCluster.delete(clusterId);
    const byOrdinal = Map.groupBy(peers, ({ device }) => findLane(device)?.remoteOrdinal);
    if (byOrdinal.size < 2) return;
    const next = new Map<string, Watched>();
    for (const [ordinal, its] of byOrdinal) {
      const gateway = `${clusterId}.${ordinal}`;
      const { traffic, hasTraffic: had = false } = former.get(gateway) ?? {};
      next.set(gateway, { peers: its, traffic, hasTraffic: had });
    }
    this.#byCluster.set(clusterId, next);
    for (const [gateway, watched] of next) this.#byGateway.set(gateway, watched);
  }
}

interface Watched {
  readonly peers: readonly Peer[];
  traffic: Traffic | undefined;
  hasTraffic: boolean;
}

const ALONE = { hasAlternative: false, hasTraffic: false };

function bytesByPeer(devices: Look["devices"]): ReadonlyMap<string, number> {
  const bytes = new Map<string, number>();
  for (const { name, peers } of devices.values())
    for (const { publicKey, rxBytes, txBytes } of peers) bytes.set(keyOf(name, publicKey), rxBytes + txBytes);
  return bytes;
}

function keyOf(device: string, publicKey: string): string {
  return `${device} ${publicKey}`;
}
