/**
 * @module Addresses in the mesh's own range. Every cluster owns a block, its index is in its admission, and every
 * address follows from (block, kind, ordinal): nothing else is ever allocated.
 *
 * | host part | kind |
 * |---|---|
 * | 0..15 | stable: lives as long as the gateway |
 * | 16..31 | the gateway on plane a |
 * | 32..47 | the gateway on plane b |
 * | 48..63 | service |
 */
import { type Cidr, cidrFrom, parseCidr } from "./cidr.ts";
import { ADDRESS_BITS, type Family, type IpAddress, ipFrom } from "./ip.ts";

export type OverlayKind = "stable" | "plane-a" | "plane-b" | "service";

/** What the mesh record says of the overlay. */
export interface OverlayRange {
  readonly ipv4: Cidr;
  readonly ipv6: Cidr;
}

/** Length of a cluster's block, by family. */
export const BLOCK_BITS: Readonly<Record<Family, number>> = { ipv4: 26, ipv6: 64 };
/** Ordinals of a cluster: addresses of each kind. */
export const MAX_ORDINALS = 16;
/** More than any overlay needs; bounds what is derived from a block's index. */
export const MAX_BLOCKS = 65_536;

const HOST_PART: Readonly<Record<OverlayKind, number>> = { stable: 0, "plane-a": 16, "plane-b": 32, service: 48 };

/** Reads the two ranges of the mesh record; throws a SpanwireError `invalid`. */
export function parseOverlay(mesh: { readonly overlayIpv4: string; readonly overlayIpv6: string }): OverlayRange {
  return { ipv4: parseCidr(mesh.overlayIpv4), ipv6: parseCidr(mesh.overlayIpv6) };
}

/** How many clusters the range has blocks for. */
export function overlayCapacity({ ipv4, ipv6 }: OverlayRange): number {
  return Math.floor(Math.min(MAX_BLOCKS, 2 ** (BLOCK_BITS.ipv4 - ipv4.bits), 2 ** (BLOCK_BITS.ipv6 - ipv6.bits)));
}

/** The block of cluster `index`: the index-th /26, or the index-th /64. */
export function overlayBlock(range: OverlayRange, index: number, family: Family): Cidr {
  return cidrFrom(hostOf(range[family], index, 0), BLOCK_BITS[family]);
}

export function overlayAddress(range: OverlayRange, at: OverlayPlace, family: Family): IpAddress {
  return hostOf(range[family], at.index, HOST_PART[at.kind] + at.ordinal);
}

export interface OverlayPlace {
  readonly index: number;
  readonly kind: OverlayKind;
  readonly ordinal: number;
}

/** All addresses of one kind of cluster `index`, as one prefix. */
export function overlayKindRange(range: OverlayRange, index: number, kind: OverlayKind, family: Family): Cidr {
  const bits = ADDRESS_BITS[family] - Math.log2(MAX_ORDINALS);
  return cidrFrom(hostOf(range[family], index, HOST_PART[kind]), bits);
}

function hostOf(range: Cidr, index: number, host: number): IpAddress {
  const blockSize = BigInt(ADDRESS_BITS[range.family] - BLOCK_BITS[range.family]);
  return ipFrom(range.family, range.base + (BigInt(index) << blockSize) + BigInt(host));
}
