/**
 * @module The addressing and nexthop scheme of one gateway as lines for `ip`, `wg` and `nft`: by hand, so that what the
 * tests see of the scheme does not depend on the product's own planning.
 */
import { parseCidr } from "@spanwire/core/address/cidr";
import type { Family } from "@spanwire/core/address/ip";
import { formatIp } from "@spanwire/core/address/ip";
import { type OverlayKind, overlayAddress } from "@spanwire/core/address/overlay";
import { laneIndex, laneName } from "@spanwire/core/desired/lane";
import { gatewayNexthopId, groupNexthopId } from "@spanwire/core/desired/nexthop-id";
import type { Plane } from "@spanwire/core/desired/state";

import type { GatewayMachine, Site } from "./topology.ts";

export const TABLE = 5180;
export const MARK = "0x1000";
export const FAMILIES: readonly Family[] = ["ipv4", "ipv6"];
const BASE_PORT = 51820;
const MTU_BYTES = 1420;
const OVERLAY = { ipv4: parseCidr("198.18.0.0/15"), ipv6: parseCidr("fd53:5700:e1::/48") };
const BLACKHOLE_METRIC = 4096;

/** A site's place in the mesh. */
export interface Cluster {
  readonly site: Site;
  readonly block: number;
}

export interface Gateway {
  readonly cluster: Cluster;
  readonly machine: GatewayMachine;
}

export type GroupKind = "resilient" | "hash-threshold";

export function overlayText(cluster: Cluster, kind: OverlayKind, ordinal: number, family: Family): string {
  return formatIp(overlayAddress(OVERLAY, { index: cluster.block, kind, ordinal }, family));
}

/** Before any lane: stable addresses, rules, what stays local, and the blackholes behind every remote prefix. */
export function baseLines({ cluster, machine }: Gateway, remotes: readonly Cluster[]): string[] {
  const stable = FAMILIES.map((family) => hostPrefix(overlayText(cluster, "stable", machine.ordinal, family)));
  const local = ["192.0.2.0/24", "2001:db8::/64", ...FAMILIES.map((family) => cluster.site.prefix[family])];
  const remote = remotes.flatMap((each) =>
    FAMILIES.flatMap((family) => [each.site.prefix[family], block(each, family)]),
  );
  return [
    "link add sw0 type dummy",
    "link set sw0 up",
    ...stable.map((address) => `addr add ${address} dev sw0`),
    ...local.map((prefix) => `route add throw ${prefix} table ${TABLE}`),
    ...remote.map((prefix) => `route add blackhole ${prefix} metric ${BLACKHOLE_METRIC} table ${TABLE}`),
  ];
}

/** Needs its own family's `ip`, because the line names no address. */
export const RULE_LINE = `rule add not fwmark ${MARK}/${MARK} lookup ${TABLE} pref ${TABLE}`;

export function laneLines({ cluster, machine }: Gateway, plane: Plane, lanes: number): string[] {
  return range(lanes).flatMap((ordinal) => {
    const name = laneName(plane, ordinal);
    const addresses = FAMILIES.map((family) => planeAddress(cluster, machine.ordinal, plane, family));
    return [
      `link add ${name} mtu ${MTU_BYTES} type wireguard`,
      ...addresses.map((address) => `addr add ${hostPrefix(address)} dev ${name}`),
      `link set ${name} up`,
    ];
  });
}

/** The route to each plane address of a remote: by its lane, from our address of the same plane; never flipped. */
export function planeRouteLines(gateway: Gateway, remotes: readonly Cluster[], plane: Plane): string[] {
  return remotes.flatMap((remote) =>
    remote.site.gateways.flatMap(({ ordinal }) =>
      FAMILIES.map((family) => {
        const to = hostPrefix(planeAddress(remote, ordinal, plane, family));
        const source = planeAddress(gateway.cluster, gateway.machine.ordinal, plane, family);
        return `route add ${to} dev ${laneName(plane, ordinal)} src ${source} table ${TABLE}`;
      }),
    ),
  );
}

/** Sets port, key, mark and peers of one lane in one message, so that the second side's message starts the handshake. */
export function wgSet(
  gateway: Gateway,
  remotes: readonly Cluster[],
  lane: { plane: Plane; ordinal: number; keyFile: string },
  publicKey: (machine: GatewayMachine) => string,
  endpoint: (from: Gateway, to: Cluster, machine: GatewayMachine) => string | undefined,
): string {
  const { plane, ordinal, keyFile } = lane;
  const peers = remotes.flatMap((remote) => {
    const machine = remote.site.gateways[ordinal];
    if (machine === undefined) return [];
    const own = FAMILIES.flatMap((family) => [
      overlayText(remote, "stable", ordinal, family),
      overlayText(remote, "service", ordinal, family),
      planeAddress(remote, ordinal, plane, family),
    ]).map(hostPrefix);
    const allowed = [...own, ...FAMILIES.map((family) => remote.site.prefix[family])].join(",");
    const host = endpoint(gateway, remote, machine);
    const port = BASE_PORT + laneIndex(plane, gateway.machine.ordinal);
    const at = host === undefined ? "" : `endpoint ${host.includes(":") ? `[${host}]` : host}:${port} `;
    return [`peer ${publicKey(machine)} ${at}persistent-keepalive 10 allowed-ips ${allowed}`];
  });
  const listen = BASE_PORT + laneIndex(plane, ordinal);
  const device = `wg set ${laneName(plane, ordinal)} listen-port ${listen} private-key ${keyFile} fwmark ${MARK}`;
  return [device, ...peers].join(" ");
}

/** One nexthop object for each remote gateway and family: what a flip replaces. Of one family: needs its own `ip`. */
export function nexthopLine(remote: Cluster, ordinal: number, plane: Plane, family: Family): string {
  const id = gatewayNexthopId(remote.block, ordinal, family);
  return `nexthop replace id ${id} dev ${laneName(plane, ordinal)}`;
}

/** The group of a remote cluster's gateways: what a failover or a drain replaces. */
export function groupLine(remote: Cluster, ordinals: readonly number[], family: Family, kind: GroupKind): string {
  const members = ordinals.map((ordinal) => gatewayNexthopId(remote.block, ordinal, family)).join("/");
  const type = kind === "resilient" ? " type resilient buckets 32 idle_timer 0 unbalanced_timer 0" : "";
  return `nexthop replace id ${groupId(remote, family, kind)} group ${members}${type}`;
}

/** A group keeps its type for life, so each type has an id of its own. */
export function groupId(remote: Cluster, family: Family, kind: GroupKind): number {
  return groupNexthopId(remote.block, family) + (kind === "resilient" ? 0 : 1);
}

/** A gateway's own addresses by its own nexthop, the cluster's prefixes by the group. */
export function routeLines(gateway: Gateway, remote: Cluster, family: Family, kind: GroupKind): string[] {
  const own = remote.site.gateways.flatMap(({ ordinal }) =>
    (["stable", "service"] as const).map((kind) => {
      const to = hostPrefix(overlayText(remote, kind, ordinal, family));
      return routeLine(gateway, to, gatewayNexthopId(remote.block, ordinal, family), family);
    }),
  );
  return [...own, routeLine(gateway, remote.site.prefix[family], groupId(remote, family, kind), family)];
}

export function routeLine({ cluster, machine }: Gateway, to: string, nexthopId: number, family: Family): string {
  const source = overlayText(cluster, "stable", machine.ordinal, family);
  return `route replace ${to} nhid ${nexthopId} src ${source} table ${TABLE}`;
}

/**
 * The guard, and a link policy without connection tracking: UDP 9000 to 9100 both ways, TCP 7001 only towards
 * `server`, by its SYN.
 */
export function firewallText({ cluster }: Gateway, remotes: readonly Cluster[], server: string): string {
  const elements = (family: Family) =>
    remotes.flatMap((remote) => [remote.site.prefix[family], block(remote, family)]).join(", ");
  const [asking, answering] =
    cluster.site.name === server
      ? ['iifname "sw-*" oifname "lan"', 'iifname "lan" oifname "sw-*"']
      : ['iifname "lan" oifname "sw-*"', 'iifname "sw-*" oifname "lan"'];
  return `
table inet spanwire {
  set remote4 {
    type ipv4_addr; flags interval
    elements = { ${elements("ipv4")} }
  }
  set remote6 {
    type ipv6_addr; flags interval
    elements = { ${elements("ipv6")} }
  }
  chain post {
    type filter hook postrouting priority 300; policy accept
    oifname "sw-*" accept
    meta mark and ${MARK} == ${MARK} accept
    ip daddr @remote4 counter drop
    ip6 daddr @remote6 counter drop
  }
  chain pre {
    type filter hook prerouting priority -310; policy accept
    iifname "sw-*" accept
    iifname "lo" accept
    ip saddr @remote4 counter drop
    ip6 saddr @remote6 counter drop
  }
  chain policy_forward {
    type filter hook forward priority 0; policy drop
    iifname "lan" oifname "sw-*" udp dport 9000-9100 accept
    iifname "sw-*" oifname "lan" udp dport 9000-9100 accept
    ${asking} tcp dport 7001 accept
    ${answering} tcp sport 7001 tcp flags & (syn | ack) != syn accept
  }
}
`;
}

export function hostPrefix(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

export function planeAddress(cluster: Cluster, ordinal: number, plane: Plane, family: Family): string {
  return overlayText(cluster, `plane-${plane}`, ordinal, family);
}

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function block(cluster: Cluster, family: Family): string {
  return `${overlayText(cluster, "stable", 0, family)}/${family === "ipv4" ? 26 : 64}`;
}
