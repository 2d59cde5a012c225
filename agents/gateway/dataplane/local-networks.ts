/** @module The host's own networks, as the wish needs them: they stay local whatever the map says. */
import { compareCidrs, readCidr } from "@spanwire/core/address/cidr";
import type { HostNetwork } from "../kernel/port.ts";

/** RT_TABLE_MAIN of linux/rtnetlink.h. Networks in other tables (VRFs, policy routing) are for whoever asks there. */
const MAIN_TABLE = 254;

/**
 * Lists the directly connected prefixes of the main table, sorted and without repetition: `LocalFacts.connected`.
 * Without default routes (one by a point-to-point device has no gateway) and without link-local ones, which no remote
 * prefix can be.
 */
export function localNetworks({ connected }: HostNetwork): readonly string[] {
  const prefixes = connected
    .filter(({ table }) => table === MAIN_TABLE)
    .flatMap(({ destination }) => {
      const read = readCidr(destination);
      return read.ok && read.cidr.bits > 0 && !/^(fe80:|ff00:|169\.254\.)/.test(destination) ? [read.cidr] : [];
    });
  return [...new Set(prefixes.sort(compareCidrs).map(({ text }) => text))];
}
