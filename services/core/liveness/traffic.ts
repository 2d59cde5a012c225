/** @module Whether anything but probes passes to and from a gateway, from WireGuard's byte counters. Pure. */

export interface Traffic {
  /** As counted last. */
  readonly counted: Counted;
  readonly countedAtMs: number;
  /** When packets of others were last found among them. */
  readonly seenAtMs: number;
}

/** To and from a gateway since some moment; may begin anew. */
export interface Counted {
  /** On all its lanes, as WireGuard counts: encrypted. */
  readonly bytes: number;
  /** Our probes and its. */
  readonly probes: number;
}

/** IPv4, UDP and the probe, filled up to 16 bytes, with WireGuard's header and tag. */
const PROBE_BYTES = 112;
/** More than a handshake, a keepalive and a probe between the reading of the two counters; less than two pings. */
const SLACK_BYTES = 512;
/** Counters that are read more often say too little each time. */
const SHORTEST_MS = 4_000;
/** A pause is not the end. */
const LINGER_MS = 30_000;
const NEVER = Number.NEGATIVE_INFINITY;

/** The state after the counters were read at `nowMs`: at first what they say may be old. */
export function countTraffic(former: Traffic | undefined, counted: Counted, nowMs: number): Traffic {
  const next = { counted, countedAtMs: nowMs };
  if (former === undefined) return { ...next, seenAtMs: NEVER };
  const bytes = bytesOfOthers(former.counted, counted);
  if (bytes === undefined) return { ...next, seenAtMs: former.seenAtMs };
  if (bytes > SLACK_BYTES) return { ...next, seenAtMs: nowMs };
  return nowMs - former.countedAtMs < SHORTEST_MS ? former : { ...next, seenAtMs: former.seenAtMs };
}

/** Bytes between two readings that probes do not explain; undefined where the counters began anew. */
function bytesOfOthers(from: Counted, to: Counted): number | undefined {
  if (to.bytes < from.bytes || to.probes < from.probes) return undefined;
  return to.bytes - from.bytes - (to.probes - from.probes) * PROBE_BYTES;
}

/** Whether nothing but the probes of `gateways` gateways passed: each may have one on its way between the readings. */
export function isQuiet(from: Counted, to: Counted, gateways: number): boolean {
  const bytes = bytesOfOthers(from, to);
  return bytes !== undefined && bytes <= SLACK_BYTES + gateways * PROBE_BYTES;
}

export function hasTraffic(traffic: Traffic | undefined, nowMs: number): boolean {
  return traffic !== undefined && nowMs - traffic.seenAtMs < LINGER_MS;
}
