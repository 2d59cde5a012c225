/** @module The verifier of one agent. */
import type { Verify } from "@spanwire/core/records/crypto";
import { createVerify } from "@spanwire/runtime/crypto/verify";

/**
 * The key that signs the heads, and those of gateways that say several things in a row. Of the others the next word may
 * come in days: an imported key is 1 kB, and importing it anew (30 µs) is a quarter of what verifying costs anyway.
 */
const CACHED_KEYS = 32;

export function createAgentVerify(): Verify {
  return createVerify({ cachedKeys: CACHED_KEYS });
}
