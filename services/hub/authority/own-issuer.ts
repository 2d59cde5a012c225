/** @module The issuer whose key is in the secret store: ECDSA P-256, made on first use. */
import { type KeyObject, X509Certificate } from "node:crypto";
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { ensureSecret, type SecretStore } from "../secrets/port.ts";
import { type CertificateUse, encodeCertificate } from "./certificate/encode-certificate.ts";
import { generateP256Key, readP256Key, spkiOf } from "./certificate/p256-key.ts";
import { type CertificateIssuer, CLOCK_TOLERANCE_MS, type Lifetime } from "./certificate-issuer.ts";

const CA_LIFETIME_MS = 20 * 365 * 86_400_000;
const SERIAL_BYTES = 16;

/** Idempotent, also for several hubs that share the store. */
export async function openOwnIssuer(
  secrets: SecretStore,
  { meshId, nowMs }: { readonly meshId: string; readonly nowMs: number },
): Promise<CertificateIssuer> {
  const key = readP256Key(await ensureSecret(secrets, "ca-key", async () => generateP256Key()));
  const issuerSpki = spkiOf(key);
  const issuer = `Spanwire ${meshId}`;
  const own = await ensureSecret(secrets, "ca-certificate", async () => {
    const lifetime = { nowMs, lifetimeMs: CA_LIFETIME_MS };
    return new Secret(issue(lifetime, { subject: issuer, publicKeySpki: issuerSpki, use: { kind: "ca" } }));
  });
  return {
    certificatePem: readOwn(own, key).toString(),
    issue: async ({ nowMs, lifetimeMs, ...holder }) => issue({ nowMs, lifetimeMs }, holder),
  };

  function issue(
    { nowMs, lifetimeMs }: Lifetime,
    holder: { readonly subject: string; readonly publicKeySpki: Uint8Array; readonly use: CertificateUse },
  ): Uint8Array {
    const serial = randomBytes(SERIAL_BYTES);
    const times = { notBeforeMs: nowMs - CLOCK_TOLERANCE_MS, notAfterMs: nowMs + lifetimeMs };
    return encodeCertificate({ serial, issuer, issuerSpki, ...times, ...holder }, key);
  }
}

function readOwn(stored: Secret, key: KeyObject): X509Certificate {
  const certificate = new X509Certificate(stored.reveal());
  if (certificate.checkPrivateKey(key)) return certificate;
  throw new SpanwireError("corrupt", "certificate authority: the stored certificate is not that of the stored key");
}
