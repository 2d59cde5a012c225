/** @module A verdict in words: "not linked", "linked, everything", "linked through eu: us->plant tcp 443". */
import { type Allow, Protocol } from "@spanwire/proto/record";
import type { Opening, PairVerdict } from "./pair.ts";

/** The same words for verdicts that let the same cross, whichever link decided. `pair` are the ids of the two. */
export function describeVerdict(verdict: PairVerdict, pair: readonly [string, string]): string {
  if (!verdict.linked) return "not linked";
  const { transit, openings } = verdict;
  const linked = transit === undefined ? "linked" : `linked through ${transit}`;
  if (openings === undefined) return `${linked}, everything`;
  if (openings.length === 0) return `${linked}, nothing`;
  const byAllow = Map.groupBy(openings, ({ allow }) => allow);
  return `${linked}: ${[...byAllow].map(([allow, ofAllow]) => `${ways(ofAllow, pair)} ${what(allow)}`).join("; ")}`;
}

function ways(openings: readonly Opening[], [a, b]: readonly [string, string]): string {
  const [only, ...others] = openings;
  if (only === undefined || others.length > 0) return "both ways";
  return `${only.opener}->${only.opener === a ? b : a}`;
}

function what({ protocol, ports, sources, destinations }: Allow): string {
  const ranges = ports.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`));
  return [
    PROTOCOL_NAMES.get(protocol) ?? `protocol ${protocol}`,
    ranges.join(","),
    sources.length === 0 ? "" : `from ${sources.join(",")}`,
    destinations.length === 0 ? "" : `to ${destinations.join(",")}`,
  ]
    .filter((part) => part !== "")
    .join(" ");
}

export const PROTOCOL_NAMES = new Map<Protocol, "any" | "tcp" | "udp" | "icmp">([
  [Protocol.ANY, "any"],
  [Protocol.TCP, "tcp"],
  [Protocol.UDP, "udp"],
  [Protocol.ICMP, "icmp"],
]);
