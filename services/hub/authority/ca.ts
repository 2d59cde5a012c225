/** @module The mesh's certificate authority: one ECDSA P-256 key that signs every TLS certificate of the mesh. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { findHost } from "@spanwire/core/address/host";
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import type { GatewayRef } from "@spanwire/core/subjects";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { signingKeySpki } from "@spanwire/runtime/crypto/signing-key";
import type { ServerCertificate } from "@spanwire/runtime/grpc/server-tls";
import { ensureSecret, type SecretStore } from "../secrets/port.ts";
import { type CertificateUse, encodeCertificate } from "./certificate/encode-certificate.ts";
import { formatSpiffeId } from "./spiffe-id.ts";

export interface CertificateAuthority {
  readonly certificatePem: string;
  /** SHA-256 of its SubjectPublicKeyInfo: the pin in join tokens. */
  readonly spkiSha256: Uint8Array;
  /** For a server of ours, with a new key; `hosts` are the DNS names and IP addresses that clients use. */
  issueServer(options: Lifetime & { readonly hosts: readonly string[] }): ServerCertificate;
  /** For a gateway's own Ed25519 identity: the certificate, then the CA, as PEM. */
  issueGateway(options: Lifetime & GatewayRef & { readonly identityKey: Uint8Array }): string;
  /** For a person or a program that may use FleetService, with a new key. `name` is a DNS label. */
  issueOperator(options: Lifetime & { readonly name: string }): ServerCertificate;
}

export interface Lifetime {
  readonly nowMs: number;
  readonly lifetimeMs: number;
}

const DAY_MS = 86_400_000;
export const GATEWAY_LIFETIME_MS = DAY_MS;
export const SERVER_LIFETIME_MS = 90 * DAY_MS;
export const OPERATOR_LIFETIME_MS = 365 * DAY_MS;
const CA_LIFETIME_MS = 20 * 365 * DAY_MS;
/** Clocks that are a little behind must not refuse what was issued a moment ago. */
const CLOCK_TOLERANCE_MS = 300_000;
const SERIAL_BYTES = 16;

/** Opens the CA of the mesh, made on first use. */
export async function openCertificateAuthority(
  secrets: SecretStore,
  { meshId, nowMs }: { readonly meshId: string; readonly nowMs: number },
): Promise<CertificateAuthority> {
  const stored = await ensureSecret(secrets, "ca-key", async () => generateKey());
  const key = readKey(stored);
  const spki = spkiOf(key);
  const name = `Spanwire ${meshId}`;
  const own = await ensureSecret(secrets, "ca-certificate", async () => {
    const lifetime = { nowMs, lifetimeMs: CA_LIFETIME_MS };
    return new Secret(issue(lifetime, { subject: name, publicKeySpki: spki, use: { kind: "ca" } }));
  });
  const certificate = readOwn(own, key);
  const certificatePem = certificate.toString();

  return {
    certificatePem,
    spkiSha256: sha256(spki),
    issueServer({ hosts, ...lifetime }) {
      const wrong = hosts.find((host) => findHost(host) === undefined);
      const [subject] = hosts;
      if (wrong !== undefined || subject === undefined) {
        throw new SpanwireError("invalid", `server certificate: "${wrong ?? ""}" is neither a DNS name nor an address`);
      }
      return issueWithKey(lifetime, { subject, use: { kind: "server", hosts } });
    },
    issueGateway({ clusterId, ordinal, identityKey, ...lifetime }) {
      const uri = formatSpiffeId({ kind: "gateway", meshId, clusterId, ordinal });
      const publicKeySpki = signingKeySpki(identityKey);
      const leaf = issue(lifetime, { subject: `${clusterId}.${ordinal}`, publicKeySpki, use: { kind: "client", uri } });
      return `${toPem("CERTIFICATE", leaf)}${certificatePem}`;
    },
    issueOperator({ name: operator, ...lifetime }) {
      const uri = formatSpiffeId({ kind: "operator", meshId, name: operator });
      return issueWithKey(lifetime, { subject: operator, use: { kind: "client", uri } });
    },
  };

  function issueWithKey(
    lifetime: Lifetime,
    holder: { readonly subject: string; readonly use: CertificateUse },
  ): ServerCertificate {
    const made = generateKey();
    const leaf = issue(lifetime, { ...holder, publicKeySpki: spkiOf(readKey(made)) });
    return {
      chainPem: `${toPem("CERTIFICATE", leaf)}${certificatePem}`,
      privateKeyPem: new Secret(Buffer.from(toPem("PRIVATE KEY", made.reveal()))),
    };
  }

  function issue(
    { nowMs: issuedAtMs, lifetimeMs }: Lifetime,
    holder: { readonly subject: string; readonly publicKeySpki: Uint8Array; readonly use: CertificateUse },
  ): Uint8Array {
    const serial = randomBytes(SERIAL_BYTES);
    const times = { notBeforeMs: issuedAtMs - CLOCK_TOLERANCE_MS, notAfterMs: issuedAtMs + lifetimeMs };
    return encodeCertificate({ serial, issuer: name, issuerSpki: spki, ...times, ...holder }, key);
  }
}

/** PKCS #8. */
function generateKey(): Secret {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return new Secret(new Uint8Array(privateKey.export({ format: "der", type: "pkcs8" })));
}

function readKey(secret: Secret): KeyObject {
  return createPrivateKey({ key: Buffer.from(secret.reveal()), format: "der", type: "pkcs8" });
}

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" }));
}

function readOwn(stored: Secret, key: KeyObject): X509Certificate {
  const certificate = new X509Certificate(stored.reveal());
  if (certificate.checkPrivateKey(key)) return certificate;
  throw new SpanwireError("corrupt", "certificate authority: the stored certificate is not that of the stored key");
}

function toPem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString("base64")
    .replace(/(.{64})(?=.)/g, "$1\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
