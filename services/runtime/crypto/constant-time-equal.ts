/** @module Comparison for hashes of secrets, where the time taken must not tell how much was right. */
import { timingSafeEqual } from "node:crypto";

/** Tells whether both are the same bytes; only their lengths can be learnt from the time it takes. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
