/**
 * @module Ids of nexthop objects, derived from the overlay block so that they need no memory and can be read:
 * 518 NNNNN FO, N the block, F the family and O the ordinal. Block 7, ordinal 1 is 518000701 (IPv4) or 518000751
 * (IPv6); its groups are 518000740 and 518000790.
 *
 * All ids from 518000000 to 524553599 (65536 blocks) are ours; others leave them alone.
 */
import type { Family } from "./state.ts";

export const NEXTHOP_ID_FIRST = 518_000_000;
export const NEXTHOP_ID_LAST = NEXTHOP_ID_FIRST + 65_536 * 100 - 1;

const GROUP = 40;

/** G(h): the one nexthop object of a remote gateway, which is replaced when its plane flips. */
export function gatewayNexthopId(block: number, ordinal: number, family: Family): number {
  return NEXTHOP_ID_FIRST + block * 100 + offset(family) + ordinal;
}

/** The ordinal of the remote gateway whose nexthop it is. */
export function ordinalOfNexthop(id: number): number {
  return (id - NEXTHOP_ID_FIRST) % 50;
}

/** The group that the cluster's prefixes route to. */
export function groupNexthopId(block: number, family: Family): number {
  return NEXTHOP_ID_FIRST + block * 100 + offset(family) + GROUP;
}

export function isOwnNexthopId(id: number): boolean {
  return id >= NEXTHOP_ID_FIRST && id <= NEXTHOP_ID_LAST;
}

function offset(family: Family): number {
  return family === "ipv4" ? 0 : 50;
}
