/** @module A verdict's openings as the tuples that a firewall can match, clipped to what is admitted. */
import { type PortRange, Protocol } from "@spanwire/proto/record";
import { type Cidr, compareCidrs, findIntersection, formatCidr, readCidr } from "../address/cidr.ts";
import type { Opening } from "./pair.ts";

/** One allowed tuple: connections from `source` to `destination` may be opened, their answers may come back. */
export interface Tuple {
  readonly source: string;
  readonly destination: string;
  readonly protocol: "any" | "tcp" | "udp" | "icmp";
  /** Inclusive; empty means every port. */
  readonly ports: readonly { readonly first: number; readonly last: number }[];
}

const NO_PORTS: Tuple["ports"] = [];

/** Everything from any of `sources` to any of `destinations` of the same family. */
export function everyTuple(sources: readonly Cidr[], destinations: readonly Cidr[]): readonly Tuple[] {
  return cross(sources, destinations, "any", NO_PORTS);
}

/**
 * The tuples of one opening. `sources` and `destinations` are what the opener and the other cluster are admitted for:
 * a prefix of the policy that reaches beyond them is clipped, one that lies outside gives no tuple.
 */
export function tuplesOf(
  { allow }: Opening,
  sources: readonly Cidr[],
  destinations: readonly Cidr[],
): readonly Tuple[] {
  const protocol = PROTOCOLS.get(allow.protocol);
  if (protocol === undefined) return []; // a protocol of a later version opens nothing here
  const ports = allow.ports.length === 0 ? NO_PORTS : allow.ports.map(portRange);
  return cross(clip(allow.sources, sources), clip(allow.destinations, destinations), protocol, ports);
}

const PROTOCOLS = new Map<Protocol, Tuple["protocol"]>([
  [Protocol.ANY, "any"],
  [Protocol.TCP, "tcp"],
  [Protocol.UDP, "udp"],
  [Protocol.ICMP, "icmp"],
]);

/** What of the named prefixes is admitted, disjoint; all that is admitted when none is named. */
function clip(named: readonly string[], admitted: readonly Cidr[]): readonly Cidr[] {
  if (named.length === 0) return admitted;
  const kept: Cidr[] = [];
  for (const text of named) {
    const read = readCidr(text);
    if (!read.ok) continue; // refused where policies are set; here it can only open nothing
    for (const cidr of admitted) {
      const both = findIntersection(read.cidr, cidr);
      if (both !== undefined) kept.push(both);
    }
  }
  return withoutNested(kept);
}

function withoutNested(cidrs: readonly Cidr[]): readonly Cidr[] {
  const kept: Cidr[] = [];
  for (const cidr of [...cidrs].sort(compareCidrs)) {
    const last = kept.at(-1);
    if (last === undefined || findIntersection(last, cidr) === undefined) kept.push(cidr);
  }
  return kept;
}

function cross(
  sources: readonly Cidr[],
  destinations: readonly Cidr[],
  protocol: Tuple["protocol"],
  ports: Tuple["ports"],
): readonly Tuple[] {
  const targets = destinations.map((cidr) => ({ family: cidr.family, text: formatCidr(cidr) }));
  return sources.flatMap((cidr) => {
    const source = formatCidr(cidr);
    const reachable = targets.filter((target) => target.family === cidr.family);
    return reachable.map((target) => ({ source, destination: target.text, protocol, ports }));
  });
}

function portRange({ first, last }: PortRange): { readonly first: number; readonly last: number } {
  return { first, last };
}
