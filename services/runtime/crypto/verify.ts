/** @module Ed25519 verification with the imported keys kept: importing one costs as much as a verification. */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import type { Verify } from "@spanwire/core/records/crypto";
import { signingKeySpki } from "./signing-key.ts";

const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const CACHED_KEYS = 4096;

/** Makes a verifier with a cache of its own; the least recently used key leaves first. Malformed input is false. */
export function createVerify({ cachedKeys = CACHED_KEYS } = {}): Verify {
  const cache = new Map<string, KeyObject>();
  return (publicKey, message, signature) => {
    if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
    return verify(null, message, cachedKey(cache, publicKey, cachedKeys), signature);
  };
}

function cachedKey(cache: Map<string, KeyObject>, publicKey: Uint8Array, limit: number): KeyObject {
  const id = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString("latin1");
  const key = cache.get(id) ?? importKey(publicKey);
  // A Map iterates in the order of insertion: inserting anew makes the first entry the least recently used one.
  cache.delete(id);
  cache.set(id, key);
  if (cache.size > limit) for (const oldest of cache.keys().take(1)) cache.delete(oldest);
  return key;
}

function importKey(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(signingKeySpki(publicKey)), format: "der", type: "spki" });
}
