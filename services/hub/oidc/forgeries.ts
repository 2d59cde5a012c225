/** @module Tokens that an issuer has not signed as they are, by the trick: for tests. */
import { createHmac, createPublicKey } from "node:crypto";
import { base64url, type JWTPayload } from "jose";
import type { TestIssuer } from "./testing.ts";

export interface Forger {
  /** The issuer that is believed; an RSA key. */
  readonly issuer: TestIssuer;
  /** Another cluster's, with the same `iss`, algorithm and key id. */
  readonly other: TestIssuer;
  /** What a good token would say. */
  readonly claims: JWTPayload;
}

const KEY_FORMS = {
  pem: (key: string) => key,
  "pem without its last line end": (key: string) => key.trim(),
  der: (key: string) => Buffer.from(key.replace(/-----.*-----|\n/g, ""), "base64"),
} as const;

export const FORGERIES: Readonly<Record<string, (forger: Forger) => Promise<string>>> = {
  "another cluster's key, with the same issuer and key id": ({ other, claims }) => other.sign(claims),
  "a claim changed": async ({ issuer, claims }) => {
    const [header, , signature] = await partsOf(issuer, claims);
    return `${header}.${part({ ...claims, sub: "system:serviceaccount:kube-system:admin" })}.${signature}`;
  },
  "the signature of another token": async ({ issuer, claims }) => {
    const [header, payload] = await partsOf(issuer, claims);
    const [, , signature] = await partsOf(issuer, { ...claims, jti: "2" });
    return `${header}.${payload}.${signature}`;
  },
  "unsigned: the signature taken off": async ({ issuer, claims }) => {
    const [header, payload] = await partsOf(issuer, claims);
    return `${header}.${payload}.`;
  },
  "unsigned: alg none": async ({ claims }) => `${part({ alg: "none" })}.${part(claims)}.`,
  "unsigned: alg nOnE, with a signature of another token": async ({ issuer, claims }) => {
    const [, payload, signature] = await partsOf(issuer, claims);
    return `${part({ alg: "nOnE", kid: issuer.jwk.kid })}.${payload}.${signature}`;
  },
  ...Object.fromEntries(
    Object.entries(KEY_FORMS).map(([form, encode]) => [
      `alg swapped for HS256, the public key as ${form} for its secret`,
      async ({ issuer, claims }: Forger) => {
        const key = createPublicKey({ key: { ...issuer.jwk }, format: "jwk" });
        const secret = encode(key.export({ format: "pem", type: "spki" }).toString());
        const signed = `${part({ alg: "HS256", kid: issuer.jwk.kid })}.${part(claims)}`;
        return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
      },
    ]),
  ),
  "its own key in the header": ({ other, claims }) => {
    const header = { jwk: other.jwk, jku: "https://evil.example/jwks" };
    return other.sign(claims, header as object);
  },
  "a critical extension": async ({ issuer, claims }) => {
    const [, payload, signature] = await partsOf(issuer, claims);
    return `${part({ alg: "RS256", kid: issuer.jwk.kid, crit: ["b64"], b64: false })}.${payload}.${signature}`;
  },
  "five parts, as of an encrypted one": async ({ issuer, claims }) => `${await issuer.sign(claims)}.${part("x")}.AA`,
  "no JSON in it": async () => `${part("{")}.${part("}")}.${part("x")}`,
  "a huge one": async ({ issuer, claims }) => `${await issuer.sign(claims)}${"A".repeat(8_192)}`,
};

async function partsOf(issuer: TestIssuer, claims: JWTPayload): Promise<readonly [string, string, string]> {
  const [header = "", payload = "", signature = ""] = (await issuer.sign(claims)).split(".");
  return [header, payload, signature];
}

function part(value: object | string): string {
  return base64url.encode(typeof value === "string" ? value : JSON.stringify(value));
}
