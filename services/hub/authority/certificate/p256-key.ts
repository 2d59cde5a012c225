/** @module ECDSA P-256 keys, as the secret store holds them. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { Secret } from "@spanwire/core/identity/secret";

/** PKCS #8, DER. */
export function generateP256Key(): Secret {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return new Secret(new Uint8Array(privateKey.export({ format: "der", type: "pkcs8" })));
}

export function readP256Key(secret: Secret): KeyObject {
  return createPrivateKey({ key: Buffer.from(secret.reveal()), format: "der", type: "pkcs8" });
}

export function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" }));
}
