/** @module X.509 version 3 certificates (RFC 5280) signed with ECDSA P-256: what Spanwire issues, and nothing more. */
import { type KeyObject, sign } from "node:crypto";
import { isIP } from "node:net";
import { parseIp } from "@spanwire/core/address/ip";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import {
  bitString,
  explicit,
  implicit,
  objectId,
  octetString,
  sequence,
  set,
  time,
  unsignedInteger,
  utf8String,
  yes,
} from "./der.ts";

export interface CertificateRequest {
  /** At most 20 bytes, unique for each certificate of the issuer. */
  readonly serial: Uint8Array;
  /** Common names. */
  readonly issuer: string;
  readonly subject: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo of the holder, of any algorithm, and of the issuer. */
  readonly publicKeySpki: Uint8Array;
  readonly issuerSpki: Uint8Array;
  readonly use: CertificateUse;
}

export type CertificateUse =
  | { readonly kind: "ca" }
  /** DNS names and IP addresses under which the server is reached. */
  | { readonly kind: "server"; readonly hosts: readonly string[] }
  /** The URI that names the client. */
  | { readonly kind: "client"; readonly uri: string };

/** Signs with the issuer's P-256 key; gives DER. */
export function encodeCertificate(request: CertificateRequest, issuerKey: KeyObject): Uint8Array {
  const toBeSigned = sequence(
    VERSION_3,
    unsignedInteger(request.serial),
    ECDSA_WITH_SHA256,
    commonName(request.issuer),
    sequence(time(request.notBeforeMs), time(request.notAfterMs)),
    commonName(request.subject),
    request.publicKeySpki,
    explicit(3, sequence(...extensions(request))),
  );
  return sequence(toBeSigned, ECDSA_WITH_SHA256, bitString(sign("sha256", toBeSigned, issuerKey)));
}

const VERSION_3 = explicit(0, unsignedInteger(Uint8Array.of(2)));
const ECDSA_WITH_SHA256 = sequence(objectId("1.2.840.10045.4.3.2"));
const COMMON_NAME = objectId("2.5.4.3");

const SUBJECT_KEY_ID = objectId("2.5.29.14");
const KEY_USAGE = objectId("2.5.29.15");
const ALTERNATIVE_NAMES = objectId("2.5.29.17");
const BASIC_CONSTRAINTS = objectId("2.5.29.19");
const AUTHORITY_KEY_ID = objectId("2.5.29.35");
const EXTENDED_KEY_USAGE = objectId("2.5.29.37");

const SERVER_AUTHENTICATION = objectId("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTHENTICATION = objectId("1.3.6.1.5.5.7.3.2");
const CA_AND_NO_CA_BELOW = sequence(yes(), unsignedInteger(Uint8Array.of(0)));
const NO_CA = sequence();
const DIGITAL_SIGNATURE = bitString(Uint8Array.of(0x80), 7);
const SIGN_CERTIFICATES = bitString(Uint8Array.of(0x06), 1);
const DNS_NAME = 2;
const URI_NAME = 6;
const IP_NAME = 7;
const KEY_ID_BYTES = 20;

function extensions({ use, publicKeySpki, issuerSpki }: CertificateRequest): Uint8Array[] {
  const keyIds = [
    extension(SUBJECT_KEY_ID, octetString(keyId(publicKeySpki))),
    extension(AUTHORITY_KEY_ID, sequence(implicit(0, keyId(issuerSpki)))),
  ];
  if (use.kind === "ca") {
    return [critical(BASIC_CONSTRAINTS, CA_AND_NO_CA_BELOW), critical(KEY_USAGE, SIGN_CERTIFICATES), ...keyIds];
  }
  const purpose = use.kind === "server" ? SERVER_AUTHENTICATION : CLIENT_AUTHENTICATION;
  const names = use.kind === "server" ? use.hosts.map(hostName) : [implicit(URI_NAME, Buffer.from(use.uri, "latin1"))];
  return [
    critical(BASIC_CONSTRAINTS, NO_CA),
    critical(KEY_USAGE, DIGITAL_SIGNATURE),
    extension(EXTENDED_KEY_USAGE, sequence(purpose)),
    extension(ALTERNATIVE_NAMES, sequence(...names)),
    ...keyIds,
  ];
}

function extension(id: Uint8Array, value: Uint8Array): Uint8Array {
  return sequence(id, octetString(value));
}

/** A reader that does not understand it must refuse the certificate. */
function critical(id: Uint8Array, value: Uint8Array): Uint8Array {
  return sequence(id, yes(), octetString(value));
}

/** Any value will do that differs for each key (RFC 5280, section 4.2.1.2). */
function keyId(spki: Uint8Array): Uint8Array {
  return sha256(spki).subarray(0, KEY_ID_BYTES);
}

function commonName(name: string): Uint8Array {
  return sequence(set(sequence(COMMON_NAME, utf8String(name))));
}

function hostName(host: string): Uint8Array {
  const family = isIP(host);
  if (family === 0) return implicit(DNS_NAME, Buffer.from(host, "latin1"));
  const digits = parseIp(host).value.toString(16);
  return implicit(IP_NAME, Buffer.from(digits.padStart(family === 4 ? 8 : 32, "0"), "hex"));
}
