/** @module One prefix, and what two prefixes are to each other. */
import { SpanwireError } from "../errors.ts";
import { ADDRESS_BITS, type Family, formatIp, type IpAddress, ipFrom, readIp } from "./ip.ts";

declare const cidrBrand: unique symbol;

/** Made only by the functions of this file, so it never has host bits. */
export interface Cidr {
  readonly family: Family;
  /** The first address. */
  readonly base: bigint;
  /** Prefix length: 0 to 32 or 128. */
  readonly bits: number;
  /** Canonical: "10.1.0.0/16", "fd00::/8" (RFC 5952). Made once, because the same prefix is named in many places. */
  readonly text: string;
  readonly [cidrBrand]: true;
}

export type ReadCidr = { readonly ok: true; readonly cidr: Cidr } | { readonly ok: false; readonly problem: string };

/** Reads "10.1.0.0/16" or "fd00::/8", or says what is wrong with it. Host bits are refused, not cleared. */
export function readCidr(text: string): ReadCidr {
  const [address = "", length, ...rest] = text.split("/");
  if (length === undefined || rest.length > 0) {
    return { ok: false, problem: `"${text}" is not a prefix: write it as address/length, like 10.1.0.0/16` };
  }
  const read = readIp(address);
  if (!read.ok) return { ok: false, problem: `"${text}" is not a prefix: ${read.problem}` };
  const most = ADDRESS_BITS[read.ip.family];
  if (!/^(0|[1-9][0-9]{0,2})$/.test(length) || Number(length) > most) {
    return { ok: false, problem: `"${text}" is not a prefix: its length must be 0 to ${most}` };
  }
  const cidr = cidrFrom(read.ip, Number(length));
  if (cidr.base !== read.ip.value) {
    return { ok: false, problem: `"${text}" has host bits set: the prefix is ${cidr.text}` };
  }
  return { ok: true, cidr };
}

/** As `readCidr`; throws a SpanwireError `invalid`. */
export function parseCidr(text: string): Cidr {
  const read = readCidr(text);
  if (!read.ok) throw new SpanwireError("invalid", read.problem);
  return read.cidr;
}

/** The prefix of length `bits` that `ip` lies in. */
export function cidrFrom(ip: IpAddress, bits: number): Cidr {
  const first = ipFrom(ip.family, mask(ip.family, ip.value, bits));
  // Joined, not concatenated: V8 keeps the parts of a concatenation alive, and agents hold thousands of prefixes.
  return { family: ip.family, base: first.value, bits, text: [formatIp(first), bits].join("/") } as Cidr;
}

/** The prefix of one address: /32 or /128. */
export function hostCidr(ip: IpAddress): Cidr {
  return cidrFrom(ip, ADDRESS_BITS[ip.family]);
}

/** Whether every address of `inner` is one of `outer`. */
export function containsCidr(outer: Cidr, inner: Cidr): boolean {
  return outer.bits <= inner.bits && contains(outer, inner.family, inner.base);
}

export function containsIp(outer: Cidr, ip: IpAddress): boolean {
  return contains(outer, ip.family, ip.value);
}

/** Whether they share an address. Two prefixes that do are equal or nested. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.bits <= b.bits ? contains(a, b.family, b.base) : contains(b, a.family, a.base);
}

/** What both cover: the longer of two that overlap. */
export function findIntersection(a: Cidr, b: Cidr): Cidr | undefined {
  if (containsCidr(a, b)) return b;
  return containsCidr(b, a) ? a : undefined;
}

/** What is left of `cidr` without `holes`: the fewest prefixes, in order of address. */
export function subtract(cidr: Cidr, holes: readonly Cidr[]): readonly Cidr[] {
  const inside = holes.filter((hole) => overlaps(cidr, hole));
  if (inside.length === 0) return [cidr];
  if (inside.some((hole) => containsCidr(hole, cidr))) return [];
  return halves(cidr).flatMap((half) => subtract(half, inside));
}

function halves({ family, base, bits }: Cidr): readonly Cidr[] {
  const half = 1n << BigInt(ADDRESS_BITS[family] - bits - 1);
  return [cidrFrom(ipFrom(family, base), bits + 1), cidrFrom(ipFrom(family, base + half), bits + 1)];
}

/** IPv4 before IPv6, then by address, then the shorter first. */
export function compareCidrs(a: Cidr, b: Cidr): number {
  if (a.family !== b.family) return a.family === "ipv4" ? -1 : 1;
  if (a.base !== b.base) return a.base < b.base ? -1 : 1;
  return a.bits - b.bits;
}

function contains(outer: Cidr, family: Family, value: bigint): boolean {
  // What lies below needs no mask: most prefixes that are compared have nothing to do with each other.
  return outer.family === family && value >= outer.base && mask(family, value, outer.bits) === outer.base;
}

function mask(family: Family, value: bigint, bits: number): bigint {
  const hostBits = BigInt(ADDRESS_BITS[family] - bits);
  return (value >> hostBits) << hostBits;
}
