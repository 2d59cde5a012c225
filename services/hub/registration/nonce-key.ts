/** @module The key of the nonces, which all replicas share: made by the first one. */
import { createSecretKey, type KeyObject } from "node:crypto";
import { SpanwireError } from "@spanwire/core/errors";
import type { RegistryBucket } from "../state/port.ts";

export const NONCE_KEY = "nonce.key";
const KEY_BYTES = 32;

/** Not a private key of anybody: who has it could make nonces, of use only together with a signature over them. */
export async function ensureNonceKey(
  registry: RegistryBucket,
  randomBytes: (length: number) => Uint8Array,
): Promise<KeyObject> {
  await registry.create(NONCE_KEY, randomBytes(KEY_BYTES));
  const entry = await registry.get(NONCE_KEY);
  if (entry?.bytes.length !== KEY_BYTES) {
    throw new SpanwireError("corrupt", `registry key "${NONCE_KEY}": not a key of ${KEY_BYTES} bytes`);
  }
  return createSecretKey(entry.bytes);
}
