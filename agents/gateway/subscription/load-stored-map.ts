/** @module Reads the last known good map from disk. */
import type { RecordMap } from "@spanwire/core/records/record-map";
import type { Logger } from "@spanwire/runtime/log/logger";
import type { MapStore, StoredPositions } from "./map-store.ts";
import { offerAll } from "./offer-all.ts";

/**
 * Fills the map and gives where it stood; undefined where it must be confirmed anew. What is damaged is told to the
 * log. Throws `unavailable` for files that are there and cannot be read.
 */
export async function loadStoredMap(
  map: RecordMap,
  { store, log }: { readonly store: MapStore; readonly log: Logger },
): Promise<StoredPositions | undefined> {
  const { positions, entries, remarks } = await store.load();
  const { rejected } = offerAll(map, entries);
  for (const remark of remarks) log.warn({ remark }, "the stored map is damaged");
  for (const { key, reason } of rejected) log.warn({ key, reason }, "a stored record was left out");
  return positions;
}
