/** @module Hexadecimal between bytes and bytes: a string of a key could not be zeroed. */

const DIGITS = Buffer.from("0123456789abcdef");

export function toHex(bytes: Uint8Array): Buffer {
  const hex = Buffer.alloc(bytes.length * 2);
  bytes.forEach((byte, index) => {
    hex[index * 2] = DIGITS[byte >> 4] ?? 0;
    hex[index * 2 + 1] = DIGITS[byte & 0xf] ?? 0;
  });
  return hex;
}

/** Reads digits of either case; throws a RangeError for anything else. */
export function fromHex(hex: Uint8Array): Buffer {
  if (hex.length % 2 !== 0) throw new RangeError(`hexadecimal with an odd number of digits: ${hex.length}`);
  const bytes = Buffer.alloc(hex.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = (digit(hex[index * 2]) << 4) | digit(hex[index * 2 + 1]);
  }
  return bytes;
}

function digit(code = 0): number {
  const value = DIGITS.indexOf(code | 0x20);
  if (value === -1) throw new RangeError("not hexadecimal");
  return value;
}
