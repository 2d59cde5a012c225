/** @module SHA-256 of bytes or of UTF-8 text. */
import { hash } from "node:crypto";

/** The 32-byte digest. */
export function sha256(data: Uint8Array | string): Uint8Array {
  return new Uint8Array(hash("sha256", data, "buffer"));
}

/** The digest as 64 lower-case hexadecimal digits. */
export function sha256Hex(data: Uint8Array | string): string {
  return hash("sha256", data, "hex");
}
