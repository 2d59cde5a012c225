/** @module Which overlay block a new cluster gets. */
import { overlayCapacity, parseOverlay } from "../address/overlay.ts";
import type { Registry } from "./registry.ts";

/** The lowest block that no live cluster holds; undefined when all are taken. A cluster keeps its block while it lives. */
export function findFreeBlock({ mesh, admissions }: Registry): number | undefined {
  const taken = new Set<number>();
  for (const { overlayIndex } of admissions.values()) taken.add(overlayIndex);
  const capacity = overlayCapacity(parseOverlay(mesh));
  for (let block = 0; block < capacity; block++) if (!taken.has(block)) return block;
  return undefined;
}
