/** @module Who signs the mesh's TLS certificates: here with a key of the secret store, or Vault's PKI with a key of its own. */
import type { CertificateUse } from "./certificate/encode-certificate.ts";

export interface CertificateIssuer {
  /** Of the CA, which signs itself: agents and operators trust it and nothing above it. */
  readonly certificatePem: string;
  /** Gives DER. Throws `unavailable` (retryable) while the issuer is away. */
  issue(wish: CertificateWish): Promise<Uint8Array>;
}

export interface CertificateWish extends Lifetime {
  /** Common name. */
  readonly subject: string;
  readonly use: Exclude<CertificateUse, { readonly kind: "ca" }>;
  /** SubjectPublicKeyInfo of the holder. */
  readonly publicKeySpki: Uint8Array;
  /** PKCS #10 by which the holder of the key asks; an issuer that trusts nobody's word for the key needs it. */
  readonly request: Uint8Array | undefined;
}

export interface Lifetime {
  readonly nowMs: number;
  readonly lifetimeMs: number;
}

/** Clocks that are a little behind must not refuse what was issued a moment ago. */
export const CLOCK_TOLERANCE_MS = 300_000;
