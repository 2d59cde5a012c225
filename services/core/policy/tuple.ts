/** @module A verdict's openings as the tuples that a firewall can match, clipped to what is admitted. */
import type { Allow, PortRange } from "@spanwire/proto/record";
import { type Cidr, compareCidrs, findIntersection, readCidr } from "../address/cidr.ts";
import { PROTOCOL_NAMES } from "./describe.ts";

/** One allowed tuple: connections from `source` to `destination` may be opened, their answers may come back. */
export interface Tuple {
  readonly source: string;
  readonly destination: string;
  readonly protocol: "any" | "tcp" | "udp" | "icmp";
  /** Inclusive; empty means every port. */
  readonly ports: readonly { readonly first: number; readonly last: number }[];
}

const EVERY_PORT: Tuple["ports"] = [];

/** Everything from any of `sources` to any of `destinations` of the same family. */
export function everyTuple(sources: readonly Cidr[], destinations: readonly Cidr[]): readonly Tuple[] {
  return cross(sources, destinations, { protocol: "any", ports: EVERY_PORT });
}

/**
 * The tuples of one allowance. `sources` and `destinations` are what the opener and the other cluster are admitted for:
 * a prefix of the policy that reaches beyond them is clipped, one that lies outside gives no tuple.
 */
export function tuplesOf(allow: Allow, sources: readonly Cidr[], destinations: readonly Cidr[]): readonly Tuple[] {
  const protocol = PROTOCOL_NAMES.get(allow.protocol);
  if (protocol === undefined) return []; // a protocol of a later version opens nothing here
  const ports = allow.ports.length === 0 ? EVERY_PORT : allow.ports.map(portRange);
  return cross(clip(allow.sources, sources), clip(allow.destinations, destinations), { protocol, ports });
}

/** What of the named prefixes is admitted, disjoint; all that is admitted when none is named. */
function clip(named: readonly string[], admitted: readonly Cidr[]): readonly Cidr[] {
  if (named.length === 0) return admitted;
  const kept: Cidr[] = [];
  for (const text of named) {
    const read = readCidr(text);
    if (!read.ok) continue; // refused where policies are set; here it can only open nothing
    kept.push(...admitted.flatMap((cidr) => findIntersection(read.cidr, cidr) ?? []));
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
  what: Pick<Tuple, "protocol" | "ports">,
): Tuple[] {
  return sources.flatMap((source) =>
    destinations
      .filter((destination) => destination.family === source.family)
      .map((destination) => ({ source: source.text, destination: destination.text, ...what })),
  );
}

function portRange({ first, last }: PortRange): { readonly first: number; readonly last: number } {
  return { first, last };
}
