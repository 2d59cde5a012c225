/** @module The system's randomness in the two forms that the rest takes as arguments. */
import { getRandomValues, randomInt } from "node:crypto";
import { Secret } from "@spanwire/core/identity/secret";
import type { Random } from "@spanwire/core/time";

/** `length` unpredictable bytes (at most 65,536). */
export function randomBytes(length: number): Uint8Array {
  return getRandomValues(new Uint8Array(length));
}

/** `length` unpredictable bytes that cannot be printed by accident. */
export function randomSecret(length: number): Secret {
  return new Secret(randomBytes(length));
}

/** A number in [0, 1) for jitter and choices. */
export const systemRandom: Random = () => randomInt(2 ** 47) / 2 ** 47;
