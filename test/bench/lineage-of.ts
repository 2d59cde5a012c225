/** @module The lineage that the hub has given its store. */
import { ensureLineage } from "@spanwire/hub/state/lineage";
import type { StateStore } from "@spanwire/hub/state/port";
import { systemClock } from "@spanwire/runtime/clock/system-clock";

export async function lineageOf({ map, registry }: StateStore): Promise<bigint> {
  const { created } = await map.status();
  return ensureLineage(registry, { created, known: 0n, isHistoryChanged: false, nowMs: systemClock.now() });
}
