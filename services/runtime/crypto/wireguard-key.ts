/** @module WireGuard's X25519 keys: the private half raw and secret, the public half in base64 as `wg` prints it. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { Secret } from "@spanwire/core/identity/secret";

const PKCS8_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");
const RAW_KEY_BYTES = 32;

export interface WireGuardKey {
  readonly privateKey: Secret;
  readonly publicKey: string;
}

/** Makes a new key, clamped as the kernel clamps it (RFC 7748, section 5), so that a key read back compares equal. */
export function generateWireGuardKey(): WireGuardKey {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  const raw = new Uint8Array(privateKey.export({ format: "der", type: "pkcs8" }).subarray(-RAW_KEY_BYTES));
  return { privateKey: new Secret(clamp(raw)), publicKey: toBase64(publicKey) };
}

/** Derives the public half, what `wg pubkey` does. */
export function wireGuardPublicKey(privateKey: Secret): string {
  const raw = privateKey.reveal();
  if (raw.length !== RAW_KEY_BYTES) throw new RangeError(`wireguard private key: ${raw.length} bytes instead of 32`);
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, raw]), format: "der", type: "pkcs8" });
  return toBase64(createPublicKey(key));
}

function clamp(raw: Uint8Array): Uint8Array {
  const key = raw.slice();
  key[0] = (key[0] ?? 0) & 0xf8;
  key[31] = ((key[31] ?? 0) & 0x7f) | 0x40;
  return key;
}

function toBase64(publicKey: KeyObject): string {
  return publicKey.export({ format: "der", type: "spki" }).subarray(-RAW_KEY_BYTES).toString("base64");
}
