/** @module Names and ports of lanes: one WireGuard device for each plane and each ordinal of the remote gateway. */
import type { OverlayKind } from "../address/overlay.ts";
import type { Plane } from "./state.ts";

/** The dummy device with the stable address; never deleted while installed. */
export const STABLE_DEVICE = "sw0";
/** What every lane's name begins with, and no other device's. */
export const LANE_PREFIX = "sw-";

export function laneName(plane: Plane, remoteOrdinal: number): string {
  return `${LANE_PREFIX}${plane}${remoteOrdinal}`;
}

/** The lane of that name; undefined for another device's. */
export function findLane(name: string): { readonly plane: Plane; readonly remoteOrdinal: number } | undefined {
  const found = /^sw-([ab])(\d+)$/.exec(name);
  return found === null ? undefined : { plane: found[1] === "a" ? "a" : "b", remoteOrdinal: Number(found[2]) };
}

/** Where a lane's port stands among a gateway's ports: added to its base port, or index into its list. */
export function laneIndex(plane: Plane, remoteOrdinal: number): number {
  return 2 * remoteOrdinal + (plane === "b" ? 1 : 0);
}

/** Epoch e lives on plane a if e is even, on b if odd. */
export function planeOfEpoch(epoch: bigint): Plane {
  return epoch % 2n === 0n ? "a" : "b";
}

/** The kind of overlay address that a gateway has on the plane. */
export function planeKind(plane: Plane): OverlayKind {
  return plane === "a" ? "plane-a" : "plane-b";
}
