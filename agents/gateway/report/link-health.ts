/** @module How the tunnels are, from what was wanted and what the kernel shows. Pure. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { LANE_PREFIX } from "@spanwire/core/desired/lane";
import type { Peer } from "@spanwire/core/desired/state";
import { type LinkHealth, LinkHealthSchema } from "@spanwire/proto/agent";
import { isNumericEndpoint } from "../dataplane/numeric-endpoint.ts";
import type { ObservedPeer, ObservedWireGuard } from "../kernel/port.ts";

export interface LinkFacts {
  /** What each remote cluster adds to the wish. */
  readonly clusters: ReadonlyMap<string, { readonly peers: readonly Peer[] }>;
  readonly devices: ReadonlyMap<string, ObservedWireGuard>;
  readonly nowMs: number;
}

/** WireGuard makes a new handshake every two minutes while there is traffic, keepalives included. */
const SILENT_MS = 180_000;
/** Of a mesh with more links than this, the ones worth a look. */
const MAX_LINKS = 256;

/** One for each wanted peer that the kernel has, those without a recent handshake and those that roamed first. */
export function linkHealth({ clusters, devices, nowMs }: LinkFacts): LinkHealth[] {
  const observed = new Map(
    [...devices.values()].flatMap(({ name, peers }) =>
      peers.map((peer) => [`${name} ${peer.publicKey}`, peer] as const),
    ),
  );
  const links = [...clusters].flatMap(([clusterId, { peers }]) =>
    peers.flatMap((wanted) => {
      const peer = observed.get(`${wanted.device} ${wanted.publicKey}`);
      return peer === undefined ? [] : [describe(clusterId, wanted, peer)];
    }),
  );
  const oddity = ({ lastHandshake, roamed }: LinkHealth): number => {
    const isSilent = lastHandshake === undefined || nowMs - Number(lastHandshake.seconds) * 1_000 > SILENT_MS;
    return isSilent ? 0 : roamed ? 1 : 2;
  };
  return links.sort((a, b) => oddity(a) - oddity(b)).slice(0, MAX_LINKS);
}

/** How many of the kernel's peers have made a handshake. */
export function countEstablished(devices: LinkFacts["devices"]): number {
  const peers = [...devices.values()].flatMap((device) => device.peers);
  return peers.filter(({ lastHandshakeMs }) => lastHandshakeMs !== undefined).length;
}

function describe(clusterId: string, wanted: Peer, peer: ObservedPeer): LinkHealth {
  const { lastHandshakeMs, rxBytes, txBytes, endpoint } = peer;
  return create(LinkHealthSchema, {
    clusterId,
    ordinal: ordinalOf(wanted.device),
    device: wanted.device,
    endpoint: endpoint ?? "",
    ...(lastHandshakeMs === undefined ? {} : { lastHandshake: timestampFromMs(lastHandshakeMs) }),
    receivedBytes: BigInt(rxBytes),
    sentBytes: BigInt(txBytes),
    roamed: hasRoamed(wanted, endpoint),
  });
}

/** A lane is named for the remote gateway's ordinal: "sw-a0". */
function ordinalOf(device: string): number {
  return Number(device.slice(LANE_PREFIX.length + 1));
}

/** Whether the kernel's endpoint is none that was said. Of a name nobody can tell: it may have several addresses. */
function hasRoamed({ endpoints }: Peer, endpoint: string | undefined): boolean {
  return endpoint !== undefined && endpoints.every(isNumericEndpoint) && !endpoints.includes(endpoint);
}
