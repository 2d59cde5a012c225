/** @module The frame around a state file: tells whole bytes from torn or flipped ones. */
import { constantTimeEqual } from "../crypto/constant-time-equal.ts";
import { sha256 } from "../crypto/sha256.ts";

/** Says what the file is to a person who opens it, and which layout follows. */
const MAGIC = Buffer.from("spanwire state 1\n");
const HASH_BYTES = 32;
const HEADER_BYTES = MAGIC.length + HASH_BYTES;

/** magic ‖ SHA-256 of the content ‖ content. */
export function frameState(content: Uint8Array): Uint8Array {
  return Buffer.concat([MAGIC, sha256(content), content]);
}

/** Gives the content, or undefined where even one bit is not as it was written. */
export function unframeState(frame: Uint8Array): Uint8Array | undefined {
  if (!MAGIC.equals(frame.subarray(0, MAGIC.length))) return undefined;
  const content = frame.subarray(HEADER_BYTES);
  return constantTimeEqual(sha256(content), frame.subarray(MAGIC.length, HEADER_BYTES)) ? content : undefined;
}
