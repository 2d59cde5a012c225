/** @module Whether this gateway is to drain, and when it has: nothing but probes comes in by the lanes any more. */
import type { MapView } from "@spanwire/core/desired/map-view";
import { type Counted, isQuiet } from "@spanwire/core/liveness/traffic";
import { gatewayKey } from "@spanwire/core/records/key";
import type { GatewayRef } from "@spanwire/core/subjects";
import type { Clock } from "@spanwire/core/time";
import type { Kernel } from "./kernel/port.ts";

/** Whether an operator wants it. */
export function isAskedToDrain(
  { admissions }: Pick<MapView, "admissions">,
  { clusterId, ordinal }: GatewayRef,
): boolean {
  return admissions.get(clusterId)?.gateways.find((each) => each.ordinal === ordinal)?.draining === true;
}

/** Whether our cluster has another gateway that has said something. */
export function hasSibling(
  { admissions, statements }: Pick<MapView, "admissions" | "statements">,
  { clusterId, ordinal }: GatewayRef,
): boolean {
  const gateways = admissions.get(clusterId)?.gateways ?? [];
  return gateways.some((each) => each.ordinal !== ordinal && statements.has(gatewayKey(clusterId, each.ordinal)));
}

export interface DrainOptions {
  readonly wireguard: Pick<Kernel["wireguard"], "observe">;
  /** Names of our devices. */
  readonly lanes: readonly string[];
  /** How many probes came in since the start, from all gateways. */
  readonly probesReceived: () => number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const LOOK_MS = 250;
/** In a row: a flow may send less often than we look. */
const QUIET_LOOKS = 3;
/** There may be traffic that nobody else can take. */
const LIMIT_MS = 10_000;

/** Returns whether it has become quiet, and not only late. Throws what reading the kernel throws. */
export async function untilDrained(options: DrainOptions): Promise<boolean> {
  const { clock, signal } = options;
  const startedMs = clock.elapsed();
  let { counted: last } = await count(options);
  for (let quiet = 0; quiet < QUIET_LOOKS; ) {
    if (clock.elapsed() - startedMs > LIMIT_MS || signal.aborted) return false;
    await clock.sleep(LOOK_MS, signal).catch(() => {});
    const { counted, peers } = await count(options);
    quiet = isQuiet(last, counted, peers) ? quiet + 1 : 0;
    last = counted;
  }
  return true;
}

async function count({ wireguard, lanes, probesReceived }: DrainOptions): Promise<{ counted: Counted; peers: number }> {
  const probes = probesReceived();
  const peers = (await Promise.all(lanes.map((name) => wireguard.observe(name)))).flatMap((lane) => lane?.peers ?? []);
  return { counted: { bytes: peers.reduce((sum, { rxBytes }) => sum + rxBytes, 0), probes }, peers: peers.length };
}
