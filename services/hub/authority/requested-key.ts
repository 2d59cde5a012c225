/** @module A new key and the request for a certificate of it; made where the private half stays. */
import { createPublicKey } from "node:crypto";
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { encodeCertificateRequest } from "./certificate/encode-request.ts";
import { generateP256Key, readP256Key, spkiOf } from "./certificate/p256-key.ts";
import { toPem } from "./certificate/pem.ts";

export interface RequestedKey {
  /** SubjectPublicKeyInfo. */
  readonly publicKeySpki: Uint8Array;
  /** PKCS #10. */
  readonly request: Uint8Array;
}

/** Makes an ECDSA P-256 key. */
export function createRequestedKey(): RequestedKey & { readonly privateKeyPem: Secret } {
  const made = generateP256Key();
  const key = readP256Key(made);
  return {
    publicKeySpki: spkiOf(key),
    request: encodeCertificateRequest(key),
    privateKeyPem: new Secret(Buffer.from(toPem("PRIVATE KEY", made.reveal()))),
  };
}

/** Throws `invalid` (`BAD_PUBLIC_KEY`) for anything but a P-256 key in its one encoding. */
export function requireP256(publicKeySpki: Uint8Array): void {
  if (isP256(publicKeySpki)) return;
  throw new SpanwireError("invalid", "public key: not the SubjectPublicKeyInfo of an ECDSA P-256 key", {
    reason: "BAD_PUBLIC_KEY",
  });
}

function isP256(publicKeySpki: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKeySpki), format: "der", type: "spki" });
    const isSame = key.export({ format: "der", type: "spki" }).equals(publicKeySpki);
    return isSame && key.asymmetricKeyDetails?.namedCurve === "prime256v1";
  } catch {
    return false;
  }
}
