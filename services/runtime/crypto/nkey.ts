/**
 * @module NATS nkeys: Ed25519 keys as text, with a prefix that says whose they are and a checksum.
 * Source: https://github.com/nats-io/nkeys (strkey.go, crc16.go).
 */

import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { decodeBase32, encodeBase32 } from "./base32.ts";
import { createSigner } from "./signing-key.ts";

export type NkeyKind = "operator" | "account" | "user";

/** First byte of the encoded form: chosen by NATS so that the text begins with O, A, U, and S for a seed. */
const PREFIX: Readonly<Record<NkeyKind, number>> = { operator: 14 << 3, account: 0, user: 20 << 3 };
const SEED_PREFIX = 18 << 3;
const RAW_KEY_BYTES = 32;

export interface NkeyPair {
  /** Text form, for example `UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4`. */
  readonly publicKey: string;
  sign(bytes: Uint8Array): Uint8Array;
}

/** Makes a signing nkey of an Ed25519 private key. */
export function createNkeyPair(kind: NkeyKind, privateKey: Secret): NkeyPair {
  const signer = createSigner(privateKey);
  return { publicKey: encodeNkey(kind, signer.publicKey), sign: signer.signNow };
}

export function encodeNkey(kind: NkeyKind, publicKey: Uint8Array): string {
  return withChecksum(Uint8Array.of(PREFIX[kind], ...publicKey));
}

/** Reads a public nkey; throws `invalid` when it is not one. */
export function decodeNkey(text: string): { readonly kind: NkeyKind; readonly publicKey: Uint8Array } {
  const bytes = withoutChecksum(text);
  const kind = bytes?.length === 1 + RAW_KEY_BYTES ? kindOf(bytes[0]) : undefined;
  if (bytes === undefined || kind === undefined) {
    throw new SpanwireError("invalid", `nkey "${text}": not an operator, account or user public key`);
  }
  return { kind, publicKey: bytes.subarray(1) };
}

/** Writes a private key as the ASCII of a seed (`SU…`), what the `nats` tools read. */
export function encodeNkeySeed(kind: NkeyKind, privateKey: Secret): Secret {
  // The kind's byte starts after five bits, so that both prefixes are visible as base32 characters.
  const head = [SEED_PREFIX | (PREFIX[kind] >> 5), (PREFIX[kind] & 31) << 3];
  return new Secret(Buffer.from(withChecksum(Uint8Array.of(...head, ...privateKey.reveal()))));
}

/** Reads a seed; throws `invalid`, without repeating the text, when it is not one. */
export function decodeNkeySeed(seed: Secret): { readonly kind: NkeyKind; readonly privateKey: Secret } {
  const bytes = withoutChecksum(Buffer.from(seed.reveal()).toString("latin1").trim());
  const [first = 0, second = 0] = bytes ?? [];
  const kind = kindOf(((first & 7) << 5) | (second >> 3));
  const isSeed = bytes?.length === 2 + RAW_KEY_BYTES && (first & 0xf8) === SEED_PREFIX;
  if (!isSeed || kind === undefined) throw new SpanwireError("invalid", "nkey seed: not a seed of an nkey");
  return { kind, privateKey: new Secret(bytes.slice(2)) };
}

function kindOf(prefix: number | undefined): NkeyKind | undefined {
  if (prefix === PREFIX.operator) return "operator";
  if (prefix === PREFIX.account) return "account";
  return prefix === PREFIX.user ? "user" : undefined;
}

function withChecksum(bytes: Uint8Array): string {
  const checksum = crc16(bytes);
  return encodeBase32(Uint8Array.of(...bytes, checksum & 0xff, checksum >> 8));
}

function withoutChecksum(text: string): Uint8Array | undefined {
  const all = decodeBase32(text);
  if (all === undefined || all.length < 2) return undefined;
  const bytes = all.subarray(0, -2);
  const [low = 0, high = 0] = all.subarray(-2);
  return crc16(bytes) === (high << 8) + low ? bytes : undefined;
}

/** CRC-16/XMODEM: polynomial 0x1021, start 0. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc;
}
