/** @module PKCS #10 certificate requests (RFC 2986) that say nothing but "this key is mine": who asks is the issuer's to say. */
import { type KeyObject, sign } from "node:crypto";
import { bitString, implicit, objectId, sequence, unsignedInteger } from "./der.ts";
import { spkiOf } from "./p256-key.ts";

const VERSION_1 = unsignedInteger(Uint8Array.of(0));
const NO_NAME = sequence();
const NO_ATTRIBUTES = implicit(0x20, new Uint8Array()); // [0], a form with parts, of which it has none
const ECDSA_WITH_SHA256 = sequence(objectId("1.2.840.10045.4.3.2"));

/** Signs with the P-256 key that the certificate is to be for; gives DER. */
export function encodeCertificateRequest(key: KeyObject): Uint8Array {
  const information = sequence(VERSION_1, NO_NAME, spkiOf(key), NO_ATTRIBUTES);
  return sequence(information, ECDSA_WITH_SHA256, bitString(sign("sha256", information, key)));
}
