/** @module Issuers of tokens for tests: real keys and signatures, claims as a Kubernetes API server writes them. */
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

export interface TestIssuer {
  /** The public half, as the issuer publishes it. */
  readonly jwk: JWK;
  readonly jwks: string;
  readonly privateKey: CryptoKey;
  /** Signs these claims, and a header with the key's id. */
  sign(claims: JWTPayload, header?: { readonly kid?: string }): Promise<string>;
}

/** The same URL for every cluster, as in the world. */
export const ISSUER = "https://kubernetes.default.svc";
export const AUDIENCE = "spanwire-hub";

export async function createTestIssuer(alg: "RS256" | "ES256" | "EdDSA" = "ES256", kid?: string): Promise<TestIssuer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: kid ?? crypto.randomUUID(), alg, use: "sig" };
  return {
    jwk,
    jwks: JSON.stringify({ keys: [jwk] }),
    privateKey,
    sign: (claims, header = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg, kid: jwk.kid, ...header }).sign(privateKey),
  };
}

export interface Pod {
  readonly name: string;
  readonly uid: string;
  readonly namespace?: string;
  readonly serviceAccount?: string;
}

/** What a projected token of this pod says; `lifetimeS` from `nowMs` on. */
export function podClaims(
  { name, uid, namespace = "spanwire", serviceAccount = "gateway" }: Pod,
  nowMs: number,
): JWTPayload {
  const iat = Math.floor(nowMs / 1_000);
  const bound = { namespace, pod: { name, uid }, serviceaccount: { name: serviceAccount, uid: "sa-1" } };
  return {
    iss: ISSUER,
    aud: [AUDIENCE],
    sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
    iat,
    nbf: iat,
    exp: iat + 600,
    "kubernetes.io": bound,
  };
}
