/** @module How the tunnels are, from what was wanted and what the kernel shows. Pure. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { LANE_PREFIX } from "@spanwire/core/desired/lane";
import type { Peer } from "@spanwire/core/desired/state";
import { type LinkHealth, LinkHealthSchema, type LinkTotals, LinkTotalsSchema } from "@spanwire/proto/agent";
import { isNumericEndpoint } from "../dataplane/numeric-endpoint.ts";
import { PeerMap } from "../dataplane/peer-map.ts";
import type { ObservedPeer, ObservedWireGuard } from "../kernel/port.ts";

export interface LinkFacts {
  /** What each remote cluster adds to the wish. */
  readonly clusters: ReadonlyMap<string, { readonly peers: readonly Peer[] }>;
  readonly lanes: readonly LaneHealth[];
  readonly nowMs: number;
}

/** A device with its peers, without what the wish says as well: that would be most of what a report keeps. */
export interface LaneHealth {
  readonly device: string;
  readonly peers: readonly PeerHealth[];
}

export type PeerHealth = Pick<ObservedPeer, "publicKey" | "endpoint" | "lastHandshakeMs" | "rxBytes" | "txBytes">;

export function healthOf(devices: ReadonlyMap<string, ObservedWireGuard>): readonly LaneHealth[] {
  return [...devices.values()].map(({ name, peers }) => ({
    device: name,
    peers: peers.map(({ publicKey, endpoint, lastHandshakeMs, rxBytes, txBytes }) => {
      return { publicKey, endpoint, lastHandshakeMs, rxBytes, txBytes };
    }),
  }));
}

/** WireGuard makes a new handshake every two minutes while there is traffic, keepalives included. */
const SILENT_MS = 180_000;
/** Up to so many links each is told. A healthy one of more is not: a thousand gateways report at rest, too. */
const SMALL_MESH_LINKS = 32;
const MAX_LINKS = 256;

export interface LinkReport {
  readonly totals: LinkTotals;
  /** Silent ones first, then those that roamed. */
  readonly links: LinkHealth[];
}

/** Of each wanted peer that the kernel has. */
export function linkReport({ clusters, lanes, nowMs }: LinkFacts): LinkReport {
  const observed = new PeerMap<PeerHealth>();
  for (const { device, peers } of lanes) {
    for (const peer of peers) observed.set({ device, publicKey: peer.publicKey }, peer);
  }
  const links = [...clusters].flatMap(([clusterId, { peers }]) =>
    peers.flatMap((wanted) => {
      const peer = observed.get(wanted);
      return peer === undefined ? [] : [{ clusterId, wanted, peer }];
    }),
  );
  const isSilent = ({ peer }: Link) => peer.lastHandshakeMs === undefined || nowMs - peer.lastHandshakeMs > SILENT_MS;
  const silent = links.filter(isSilent);
  const others = links.filter((link) => !isSilent(link));
  const roamed = others.filter(hasRoamed);
  const rest = links.length <= SMALL_MESH_LINKS ? others.filter((link) => !hasRoamed(link)) : [];
  const sum = (pick: (peer: PeerHealth) => number) => BigInt(links.reduce((all, { peer }) => all + pick(peer), 0));
  return {
    links: [...silent, ...roamed, ...rest].slice(0, MAX_LINKS).map(describe),
    totals: create(LinkTotalsSchema, {
      links: links.length,
      established: others.length,
      receivedBytes: sum(({ rxBytes }) => rxBytes),
      sentBytes: sum(({ txBytes }) => txBytes),
    }),
  };
}

interface Link {
  readonly clusterId: string;
  readonly wanted: Peer;
  readonly peer: PeerHealth;
}

/** How many of the kernel's peers have made a handshake. */
export function countEstablished(lanes: readonly LaneHealth[]): number {
  const established = lanes.map(({ peers }) => peers.filter(({ lastHandshakeMs }) => lastHandshakeMs !== undefined));
  return established.reduce((sum, { length }) => sum + length, 0);
}

function describe(link: Link): LinkHealth {
  const { clusterId, wanted, peer } = link;
  const { lastHandshakeMs, rxBytes, txBytes, endpoint } = peer;
  return create(LinkHealthSchema, {
    clusterId,
    ordinal: ordinalOf(wanted.device),
    device: wanted.device,
    endpoint: endpoint ?? "",
    ...(lastHandshakeMs === undefined ? {} : { lastHandshake: timestampFromMs(lastHandshakeMs) }),
    receivedBytes: BigInt(rxBytes),
    sentBytes: BigInt(txBytes),
    roamed: hasRoamed(link),
  });
}

/** A lane is named for the remote gateway's ordinal: "sw-a0". */
function ordinalOf(device: string): number {
  return Number(device.slice(LANE_PREFIX.length + 1));
}

/** Whether the kernel's endpoint is none that was said. Of a name nobody can tell: it may have several addresses. */
function hasRoamed({ wanted: { endpoints }, peer: { endpoint } }: Link): boolean {
  return endpoint !== undefined && endpoints.every(isNumericEndpoint) && !endpoints.includes(endpoint);
}
