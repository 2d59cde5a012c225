/** @module The few forms of DER (ITU-T X.690) that a certificate is made of. */

const TAG = { boolean: 1, integer: 2, bitString: 3, octetString: 4, oid: 6, utf8String: 12, utcTime: 23, time: 24 };
const SEQUENCE = 0x30;
const SET = 0x31;
const CONTEXT = 0x80;
const CONSTRUCTED = 0x20;
/** RFC 5280, section 4.1.2.5: two-digit years up to 2049, four-digit ones from then on. */
const LAST_UTC_YEAR = 2049;

export function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return tagged(SEQUENCE, Buffer.concat(parts));
}

export function set(...parts: readonly Uint8Array[]): Uint8Array {
  return tagged(SET, Buffer.concat(parts));
}

export function yes(): Uint8Array {
  return tagged(TAG.boolean, Uint8Array.of(0xff));
}

/** Of an unsigned number, big-endian, in as few bytes as hold it. */
export function unsignedInteger(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  const shortest = first < 0 ? Uint8Array.of(0) : bytes.subarray(first);
  const isNegative = ((shortest[0] ?? 0) & 0x80) !== 0;
  return tagged(TAG.integer, isNegative ? Buffer.concat([Uint8Array.of(0), shortest]) : shortest);
}

export function bitString(bytes: Uint8Array, unusedBits = 0): Uint8Array {
  return tagged(TAG.bitString, Buffer.concat([Uint8Array.of(unusedBits), bytes]));
}

export function octetString(bytes: Uint8Array): Uint8Array {
  return tagged(TAG.octetString, bytes);
}

export function utf8String(text: string): Uint8Array {
  return tagged(TAG.utf8String, Buffer.from(text));
}

/** "2.5.4.3". */
export function objectId(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return tagged(TAG.oid, Uint8Array.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** Whole seconds; what is beyond them is cut off. */
export function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replace(/\.\d+/, "").replace(/[-:T]/g, "");
  const isUtc = Number(digits.slice(0, 4)) <= LAST_UTC_YEAR;
  return isUtc ? tagged(TAG.utcTime, Buffer.from(digits.slice(2))) : tagged(TAG.time, Buffer.from(digits));
}

/** `[n] EXPLICIT`. */
export function explicit(n: number, content: Uint8Array): Uint8Array {
  return tagged(CONTEXT | CONSTRUCTED | n, content);
}

/** `[n] IMPLICIT` of a form without parts. */
export function implicit(n: number, content: Uint8Array): Uint8Array {
  return tagged(CONTEXT | n, content);
}

function tagged(tag: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(tag, ...lengthOf(content.length)), content]);
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let rest = value >> 7; rest > 0; rest >>= 7) digits.unshift(0x80 | (rest & 0x7f));
  return digits;
}
