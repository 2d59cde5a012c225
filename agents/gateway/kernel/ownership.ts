/** @module Which kernel objects belong to Spanwire: everything else is read by explicit functions and never written. */
import { LANE_PREFIX, STABLE_DEVICE } from "@spanwire/core/desired/lane";
import { NEXTHOP_ID_FIRST, NEXTHOP_ID_LAST } from "@spanwire/core/desired/nexthop-id";

/** The marks by which our own objects are known, after any restart, without a memory of having made them. */
export interface Ownership {
  /** The device that carries the stable address: "sw0". */
  readonly stableDevice: string;
  /** What the name of every lane begins with: "sw-". Not "sw": a switch has ports named swp1. */
  readonly lanePrefix: string;
  /** Every route in this table is ours, and every rule that is `not fwmark … lookup` this table. */
  readonly table: number;
  /** Ids of nexthop objects, inclusive. They share one number space with everybody on the host. */
  readonly nexthopIds: { readonly first: number; readonly last: number };
}

export const DEFAULT_OWNERSHIP: Ownership = {
  stableDevice: STABLE_DEVICE,
  lanePrefix: LANE_PREFIX,
  table: 5180,
  nexthopIds: { first: NEXTHOP_ID_FIRST, last: NEXTHOP_ID_LAST },
};

export function ownsDevice(ownership: Ownership, name: string): boolean {
  return name === ownership.stableDevice || name.startsWith(ownership.lanePrefix);
}

export function ownsNexthop(ownership: Ownership, id: number): boolean {
  return id >= ownership.nexthopIds.first && id <= ownership.nexthopIds.last;
}
