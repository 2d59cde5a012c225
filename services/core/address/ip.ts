/** @module One IP address: strict text in, canonical text out, a number between. */
import { SpanwireError } from "../errors.ts";

export type Family = "ipv4" | "ipv6";

declare const ipBrand: unique symbol;

/** Made only by `parseIp` and `ipFrom`, so its value is always in range. */
export interface IpAddress {
  readonly family: Family;
  readonly value: bigint;
  readonly [ipBrand]: true;
}

export const ADDRESS_BITS: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 };

export type ReadIp = { readonly ok: true; readonly ip: IpAddress } | { readonly ok: false; readonly problem: string };

/**
 * Reads an address, or says what is wrong with it.
 *
 * Stricter than inet_aton: four decimal parts without leading zeros ("010.0.0.1" means 8.0.0.1 to some programs and
 * 10.0.0.1 to others). IPv6 is RFC 4291 without a zone; `%eth0` means something on one host only.
 */
export function readIp(text: string): ReadIp {
  const value = text.includes(":") ? readIpv6(text) : readIpv4(text);
  if (value === undefined) return { ok: false, problem: `"${text}" is not an IP address` };
  return { ok: true, ip: ipFrom(text.includes(":") ? "ipv6" : "ipv4", value) };
}

/** As `readIp`; throws a SpanwireError `invalid`. */
export function parseIp(text: string): IpAddress {
  const read = readIp(text);
  if (!read.ok) throw new SpanwireError("invalid", read.problem);
  return read.ip;
}

/** Takes the low 32 or 128 bits of `value`. */
export function ipFrom(family: Family, value: bigint): IpAddress {
  return { family, value: BigInt.asUintN(ADDRESS_BITS[family], value) } as IpAddress;
}

/** Dotted decimal, or RFC 5952: lower case, no leading zeros, the longest run of zero groups (at least two) as "::". */
export function formatIp({ family, value }: IpAddress): string {
  return family === "ipv4" ? formatIpv4(Number(value)) : formatIpv6(value);
}

const IPV4_PART = /^(0|[1-9][0-9]{0,2})$/;

function readIpv4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!IPV4_PART.test(part) || Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return BigInt(value);
}

function readIpv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = readGroups(halves[0] ?? "", { mayEndInIpv4: halves.length === 1 });
  const tail = readGroups(halves[1] ?? "", { mayEndInIpv4: true });
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

function readGroups(text: string, { mayEndInIpv4 }: { readonly mayEndInIpv4: boolean }): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (part.includes(".")) {
      const ipv4 = mayEndInIpv4 && index === parts.length - 1 ? readIpv4(part) : undefined;
      if (ipv4 === undefined) return undefined;
      groups.push(Number(ipv4 >> 16n), Number(ipv4 & 0xffffn));
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

function formatIpv6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(112 - 16 * index)) & 0xffffn));
  const hex = groups.map((group) => group.toString(16));
  const { start, length } = longestZeroRun(groups);
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > longest.length) longest = { start, length: index + 1 - start };
  }
  return longest;
}
