/** @module Addresses between the text of the models and the bytes of the kernel, in network order. */
import type { Family } from "@spanwire/core/address/ip";
import { formatIp, ipFrom, parseIp } from "@spanwire/core/address/ip";

export const ADDRESS_BYTES: Readonly<Record<Family, number>> = { ipv4: 4, ipv6: 16 };

export interface PrefixBytes {
  readonly family: Family;
  readonly bytes: Uint8Array;
  readonly bits: number;
}

export function familyOf(text: string): Family {
  return text.includes(":") ? "ipv6" : "ipv4";
}

/** The 4 or 16 bytes of "192.0.2.1" or "2001:db8::1"; throws a SpanwireError `invalid`. */
export function ipToBytes(text: string): Uint8Array {
  const { family, value } = parseIp(text);
  const bytes = Buffer.alloc(ADDRESS_BYTES[family]);
  if (family === "ipv4") {
    bytes.writeUInt32BE(Number(value));
  } else {
    bytes.writeBigUInt64BE(value >> 64n, 0);
    bytes.writeBigUInt64BE(value & 0xffff_ffff_ffff_ffffn, 8);
  }
  return bytes;
}

/** Reads "10.1.0.0/16", and an address alone as a prefix of full length. */
export function prefixToBytes(text: string): PrefixBytes {
  const slash = text.indexOf("/");
  const bytes = ipToBytes(slash === -1 ? text : text.slice(0, slash));
  const bits = slash === -1 ? bytes.length * 8 : Number(text.slice(slash + 1));
  return { family: familyOf(text), bytes, bits };
}

/** The canonical text of the address at `offset`. */
export function ipFromBytes(buffer: Buffer, offset: number, family: Family): string {
  if (family === "ipv4") {
    return `${buffer[offset]}.${buffer[offset + 1]}.${buffer[offset + 2]}.${buffer[offset + 3]}`;
  }
  const value = (buffer.readBigUInt64BE(offset) << 64n) | buffer.readBigUInt64BE(offset + 8);
  return formatIp(ipFrom("ipv6", value));
}
