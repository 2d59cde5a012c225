/** @module Where a gateway says it can be reached, without what must not be tried. */
import type { Endpoint, Statement } from "@spanwire/proto/record";
import { type Cidr, containsIp } from "../address/cidr.ts";
import { findHost, formatHostPort, type Host } from "../address/host.ts";
import { trimmed } from "./reuse.ts";

export interface Candidate {
  readonly host: Host;
  readonly endpoint: Endpoint;
}

/**
 * The endpoints worth trying, best first. One inside `forbidden` (overlay, prefixes of the mesh) is ignored: it would
 * be reached through the tunnel it is meant to build, or be a pod's address that means nothing outside.
 */
export function usableEndpoints(statement: Statement, forbidden: readonly Cidr[]): readonly Candidate[] {
  const candidates: Candidate[] = [];
  for (const endpoint of statement.endpoints) {
    const host = findHost(endpoint.host);
    if (host === undefined) continue;
    if (host.kind === "ip" && forbidden.some((prefix) => containsIp(prefix, host.ip))) continue;
    candidates.push({ host, endpoint });
  }
  return candidates;
}

/** Host and port of one of the gateway's lanes for each candidate that has such a port. */
export function lanePorts(candidates: readonly Candidate[], index: number): readonly string[] {
  const ports = candidates.flatMap(({ host, endpoint }) => {
    const port = endpoint.ports.length > 0 ? endpoint.ports[index] : endpoint.basePort + index;
    return port !== undefined && port >= 1 && port <= 65_535 ? [formatHostPort(host, port)] : [];
  });
  return trimmed(ports);
}
