/**
 * @module Nonces that no replica has to remember: time ‖ random ‖ HMAC with a key that all replicas share.
 *
 * A nonce bounds how long a captured proof is of use; it is not single use. What a proof allows within that time is
 * idempotent, and answers hold nothing that only the owner of the identity may see.
 */
import { createHmac, type KeyObject } from "node:crypto";
import { constantTimeEqual } from "@spanwire/runtime/crypto/constant-time-equal";

export interface Challenge {
  readonly nonce: Uint8Array;
  readonly expiresAtMs: number;
}

export type CheckedNonce = "fresh" | "expired" | "forged";

const TIME_BYTES = 8;
const RANDOM_BYTES = 16;
const MAC_BYTES = 16;
const LIFETIME_MS = 60_000;
/** How far the clocks of two replicas may be apart. */
const CLOCK_SKEW_MS = 10_000;
const PURPOSE = "spanwire/v1/nonce\0";

/** Makes a nonce; `random` gives 16 unpredictable bytes. */
export function issueChallenge(key: KeyObject, nowMs: number, random: Uint8Array): Challenge {
  const head = new Uint8Array(TIME_BYTES + RANDOM_BYTES);
  new DataView(head.buffer).setBigUint64(0, BigInt(nowMs));
  head.set(random.subarray(0, RANDOM_BYTES), TIME_BYTES);
  const nonce = new Uint8Array([...head, ...mac(key, head)]);
  return { nonce, expiresAtMs: nowMs + LIFETIME_MS };
}

export function checkNonce(key: KeyObject, nonce: Uint8Array, nowMs: number): CheckedNonce {
  if (nonce.length !== TIME_BYTES + RANDOM_BYTES + MAC_BYTES) return "forged";
  const head = nonce.subarray(0, TIME_BYTES + RANDOM_BYTES);
  if (!constantTimeEqual(mac(key, head), nonce.subarray(head.length))) return "forged";
  const issuedAtMs = Number(new DataView(head.buffer, head.byteOffset).getBigUint64(0));
  const ageMs = nowMs - issuedAtMs;
  return ageMs <= LIFETIME_MS && ageMs >= -CLOCK_SKEW_MS ? "fresh" : "expired";
}

function mac(key: KeyObject, head: Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(PURPOSE).update(head).digest().subarray(0, MAC_BYTES);
}
