/** @module Ed25519 keys in their raw 32-byte form, over node:crypto. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { Secret } from "@spanwire/core/identity/secret";
import type { Signer } from "@spanwire/core/records/crypto";

/** The fixed DER in front of a raw key: PKCS #8 and SubjectPublicKeyInfo of Ed25519 (RFC 8410, sections 4 and 7). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const RAW_KEY_BYTES = 32;

export interface SigningKey {
  /** The 32-byte seed of RFC 8032, from which all else follows. */
  readonly privateKey: Secret;
  readonly publicKey: Uint8Array;
}

/** A signer whose key is in this process. */
export interface LocalSigner extends Signer {
  /** As `sign`, for callers that cannot wait. */
  signNow(message: Uint8Array): Uint8Array;
}

/** Makes a new key from the system's randomness. */
export function generateSigningKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { privateKey: new Secret(rawEnd(privateKey, "pkcs8")), publicKey: rawEnd(publicKey, "spki") };
}

/** Imports the key once (about 0.1 ms), so that each signature costs only the signature. */
export function createSigner(privateKey: Secret): LocalSigner {
  const key = privateKeyObject(privateKey);
  const signNow = (message: Uint8Array) => new Uint8Array(sign(null, message, key));
  return { publicKey: rawEnd(createPublicKey(key), "spki"), signNow, sign: async (message) => signNow(message) };
}

/** Gives the private key as a PKCS #8 PEM file for TLS libraries; the text is a secret too. */
export function signingKeyPem(privateKey: Secret): Secret {
  return new Secret(Buffer.from(privateKeyObject(privateKey).export({ format: "pem", type: "pkcs8" })));
}

/** Wraps a raw public key as SubjectPublicKeyInfo, the form that certificates and pins use. */
export function signingKeySpki(publicKey: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([SPKI_PREFIX, requireRaw(publicKey, "public")]));
}

function privateKeyObject(privateKey: Secret): KeyObject {
  const der = Buffer.concat([PKCS8_PREFIX, requireRaw(privateKey.reveal(), "private")]);
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
}

function requireRaw(key: Uint8Array, half: "private" | "public"): Uint8Array {
  if (key.length !== RAW_KEY_BYTES) throw new RangeError(`ed25519 ${half} key: ${key.length} bytes instead of 32`);
  return key;
}

function rawEnd(key: KeyObject, type: "pkcs8" | "spki"): Uint8Array {
  const der = type === "pkcs8" ? key.export({ format: "der", type }) : key.export({ format: "der", type });
  return new Uint8Array(der.subarray(-RAW_KEY_BYTES));
}
