/** @module The host's own networks, as the wish needs them: they stay local whatever the map says. */
import { compareCidrs, readCidr } from "@spanwire/core/address/cidr";
import type { LocalFacts } from "@spanwire/core/desired/local-facts";
import type { HostNetwork, HostRoute } from "../kernel/port.ts";

/** RT_TABLE_MAIN of linux/rtnetlink.h. Networks in other tables (VRFs, policy routing) are for whoever asks there. */
const MAIN_TABLE = 254;

/** What of the wish depends on networks that are not ours to set. */
export type NetworkFacts = Pick<LocalFacts, "connected" | "localRoutes" | "notForwarding" | "ipv6Forwarding">;

export const NO_NETWORKS: NetworkFacts = { connected: [], localRoutes: [], notForwarding: [], ipv6Forwarding: true };

export function networkFacts(host: HostNetwork): NetworkFacts {
  return {
    connected: localNetworks(host),
    localRoutes: prefixesOf(host.routed),
    notForwarding: notForwarding(host),
    ipv6Forwarding: host.ipv6Forwarding,
  };
}

/** Lists the directly connected prefixes of the main table: `LocalFacts.connected`. */
export function localNetworks({ connected }: HostNetwork): readonly string[] {
  return prefixesOf(connected);
}

/** IPv4 networks, connected or behind a router, of devices that do not forward. */
function notForwarding({ connected, routed, devices }: HostNetwork): NetworkFacts["notForwarding"] {
  const silent = new Set(devices.filter(({ forwarding }) => !forwarding).map(({ name }) => name));
  return [...silent].flatMap((device) => {
    const networks = prefixesOf([...connected, ...routed].filter((route) => route.device === device));
    return networks.filter((network) => !network.includes(":")).map((network) => ({ device, network }));
  });
}

/**
 * Sorted and without repetition; without default routes (one by a point-to-point device has no gateway) and without
 * link-local ones, which no remote prefix can be.
 */
function prefixesOf(routes: readonly HostRoute[]): readonly string[] {
  const prefixes = routes
    .filter(({ table }) => table === MAIN_TABLE)
    .flatMap(({ destination }) => {
      const read = readCidr(destination);
      return read.ok && read.cidr.bits > 0 && !/^(fe80:|ff00:|169\.254\.)/.test(destination) ? [read.cidr] : [];
    });
  return [...new Set(prefixes.sort(compareCidrs).map(({ text }) => text))];
}
