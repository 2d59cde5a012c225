/** @module What the desired state needs to know of this host, put together from settings, keys and observation. */
import { isIP } from "node:net";
import type { LocalFacts, Routing } from "@spanwire/core/desired/local-facts";
import type { GatewayRef } from "@spanwire/core/subjects";
import type { NetworkFacts } from "./dataplane/local-networks.ts";
import type { EpochKey } from "./identity/wireguard-keys.ts";

/** What the operator decides of the data plane. */
export interface DataplaneSettings {
  readonly basePort: number;
  readonly mtuBytes: number;
  readonly ipv6: LocalFacts["ipv6"];
  readonly snat: readonly string[];
  readonly resilientBuckets: number | undefined;
  readonly routing: Routing;
}

export interface HostFacts extends NetworkFacts {
  readonly keys: readonly EpochKey[];
  /** Addresses of hub and NATS. */
  readonly control: readonly string[];
}

export function buildLocalFacts(self: GatewayRef, settings: DataplaneSettings, host: HostFacts): LocalFacts {
  const { clusterId, ordinal } = self;
  return { clusterId, ordinal, ...settings, ...host };
}

/** Resolves a host name to addresses; rejects when it cannot. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** The addresses that the control connections go to, sorted. A name that does not resolve now is left out. */
export async function controlAddresses(places: readonly string[], resolve: Resolve): Promise<readonly string[]> {
  const hosts = [...new Set(places.map(hostOf))];
  const found = await Promise.all(hosts.map((host) => (isIP(host) !== 0 ? [host] : resolve(host).catch(() => []))));
  return [...new Set(found.flat())].sort();
}

/** Of "host:port", "[2001:db8::1]:port" and "tls://host:port". */
function hostOf(place: string): string {
  const authority = place.replace(/^[a-z]+:\/\//, "").replace(/^[^@]*@/, "");
  return authority.replace(/:\d+\/?$/, "").replace(/^\[(.*)\]$/, "$1");
}
