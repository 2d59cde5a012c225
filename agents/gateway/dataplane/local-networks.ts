/** @module The host's own networks, as the wish needs them: they stay local whatever the map says. */
import { type Cidr, compareCidrs, containsCidr, hostCidr, parseCidr, readCidr } from "@spanwire/core/address/cidr";
import { parseIp } from "@spanwire/core/address/ip";
import type { LocalFacts, LocalNetwork } from "@spanwire/core/desired/local-facts";
import type { HostNetwork, HostRoute } from "../kernel/port.ts";

/** RT_TABLE_MAIN of linux/rtnetlink.h. Networks in other tables (VRFs, policy routing) are for whoever asks there. */
const MAIN_TABLE = 254;

/** What of the wish depends on networks that are not ours to set. */
export type NetworkFacts = Pick<
  LocalFacts,
  "connected" | "localRoutes" | "defaultRoutes" | "loneAddresses" | "notForwarding" | "ipv6Forwarding"
>;

export const NO_NETWORKS: NetworkFacts = {
  connected: [],
  localRoutes: [],
  defaultRoutes: [],
  loneAddresses: [],
  notForwarding: [],
  ipv6Forwarding: true,
};

export function networkFacts(host: HostNetwork): NetworkFacts {
  const { ipv6Forwarding } = host;
  const connected = networksOf(host.connected).filter(isNoDefault);
  const routed = networksOf(host.routed);
  const networks = connected.map(({ network }) => parseCidr(network));
  return {
    connected,
    localRoutes: [...new Set(routed.filter(isNoDefault).map(({ network }) => network))],
    defaultRoutes: networksOf([...host.connected, ...host.routed]).filter((each) => !isNoDefault(each)),
    loneAddresses: loneAddresses(host, networks),
    notForwarding: notForwarding(host),
    ipv6Forwarding,
  };
}

/** IPv4 networks, connected or behind a router, of devices that do not forward. */
function notForwarding({ connected, routed, devices }: HostNetwork): readonly LocalNetwork[] {
  const silent = new Set(devices.filter(({ forwarding }) => !forwarding).map(({ name }) => name));
  return networksOf([...connected, ...routed]).filter((each) => {
    return silent.has(each.device) && isNoDefault(each) && !each.network.includes(":");
  });
}

function loneAddresses({ addresses }: HostNetwork, networks: readonly Cidr[]): readonly string[] {
  const hosts = addresses.map(({ address }) => hostCidr(parseIp(address.replace(/\/.*/, ""))));
  return hosts.filter((host) => !networks.some((network) => containsCidr(network, host))).map(({ text }) => text);
}

/**
 * Of the main table, sorted and without repetition; without link-local ones, which no remote prefix can be. One by
 * several devices has an empty name.
 */
function networksOf(routes: readonly HostRoute[]): readonly LocalNetwork[] {
  const networks = routes
    .filter(({ table }) => table === MAIN_TABLE)
    .flatMap(({ device, destination }) => {
      const read = readCidr(destination);
      return read.ok && !/^(fe80:|ff00:|169\.254\.)/.test(destination) ? [{ device, cidr: read.cidr }] : [];
    })
    .sort((a, b) => compareCidrs(a.cidr, b.cidr) || (a.device < b.device ? -1 : 1))
    .map(({ device, cidr }) => ({ device, network: cidr.text }));
  return [...new Map(networks.map((each) => [`${each.network} ${each.device}`, each])).values()];
}

function isNoDefault({ network }: LocalNetwork): boolean {
  return !network.endsWith("/0");
}
