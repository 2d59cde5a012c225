/** @module An endpoint that names a host -> one that the kernel takes. */
import { containsIp, parseCidr } from "@spanwire/core/address/cidr";
import { formatIp, type IpAddress, readIp } from "@spanwire/core/address/ip";
import { formatEndpoint } from "../kernel/endpoint.ts";

/** Resolves a host name to addresses, best first; rejects when it cannot. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export interface ResolveOptions {
  readonly resolve: Resolve;
  /** Prefixes of the mesh: an address inside one would be reached through the tunnel that it is meant to build. */
  readonly remote: readonly string[];
  /** Counts the tries: each takes the next of a name's addresses, so that one family that leads nowhere ends no peer. */
  readonly attempt: number;
}

/** Resolves "host.example:51820" to a numeric endpoint; undefined when the name has no address that may be used. */
export async function resolveEndpoint(candidate: string, options: ResolveOptions): Promise<string | undefined> {
  const { resolve, remote, attempt } = options;
  const { host, port } = splitEndpoint(candidate);
  const prefixes = remote.map(parseCidr);
  const isOutside = (ip: IpAddress) => !prefixes.some((prefix) => containsIp(prefix, ip));
  const addresses = (await resolve(host)).flatMap((text) => {
    const read = readIp(text);
    return read.ok && isOutside(read.ip) ? [formatIp(read.ip)] : [];
  });
  const address = addresses[attempt % Math.max(1, addresses.length)];
  return address === undefined ? undefined : formatEndpoint({ host: address, port });
}

export function splitEndpoint(candidate: string): { readonly host: string; readonly port: number } {
  const colon = candidate.lastIndexOf(":");
  return { host: candidate.slice(0, colon), port: Number(candidate.slice(colon + 1)) };
}
