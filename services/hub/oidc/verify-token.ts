/** @module Whether a token is one of its issuer's for us, and good now. What it says of its bearer is judged elsewhere. */
import { errors, type JWTPayload, jwtVerify } from "jose";
import { type Reason, refusal } from "../refusal.ts";
import type { IssuerKeys, KeyRing, KeySource } from "./issuer-keys.ts";

export interface TokenRules {
  /** Under whose name the keys are registered: "cluster eu", "operators". */
  readonly owner: string;
  readonly source: KeySource;
  /** What `aud` must hold. */
  readonly audience: string;
  /** What `iss` must be; undefined takes what the issuer says of itself, or anything where only keys were given. */
  readonly issuer: string | undefined;
  readonly nowMs: number;
}

/** Public-key signatures only: with a shared secret, a public key would be one. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;
/** How far the clocks of issuer and hub may be apart. */
export const SKEW_S = 60;
const MAX_LIFETIME_S = 86_400;
const MAX_LENGTH = 8_192;
const KEY_UNKNOWN =
  "is signed by a key that the issuer had not published half a minute ago: try again in half a minute";

/** Gives the claims of a good token, `iat` always among them; throws the refusal, in which nothing of the token is said. */
export async function verifyToken(
  ring: KeyRing,
  token: string,
  rules: TokenRules,
): Promise<JWTPayload & { readonly iat: number }> {
  if (token.length > MAX_LENGTH)
    throw refusal("JWT_INVALID", `${rules.owner}: its token is longer than ${MAX_LENGTH} characters`);
  const keys = await ring.keysOf(rules.owner, rules.source);
  const payload = await verifyWith(keys, token, rules).catch(async (error: unknown) => {
    if (!(error instanceof errors.JWKSNoMatchingKey) || rules.source.kind === "given") throw toRefusal(error, rules);
    const again = await ring.refetch(rules.owner, rules.source);
    if (again === undefined) throw refuse("JWT_KEY_UNKNOWN", rules, KEY_UNKNOWN);
    return verifyWith(again, token, rules).catch((second: unknown) => {
      throw toRefusal(second, rules);
    });
  });
  const { exp = Number.POSITIVE_INFINITY, iat } = payload;
  if (typeof iat !== "number") throw refuse("JWT_INVALID", rules, 'lacks a good "iat"');
  if (iat > rules.nowMs / 1_000 + SKEW_S)
    throw refuse("JWT_NOT_YET_VALID", rules, "was issued in the future: are the clocks right?");
  if (exp - iat <= MAX_LIFETIME_S) return { ...payload, iat };
  throw refuse(
    "JWT_LIVES_TOO_LONG",
    rules,
    `is good for more than ${MAX_LIFETIME_S / 3_600} h: ask for one of an hour`,
  );
}

async function verifyWith({ find, issuer }: IssuerKeys, token: string, rules: TokenRules): Promise<JWTPayload> {
  const expected = rules.issuer ?? issuer;
  const { payload } = await jwtVerify(token, find, {
    algorithms: [...ALGORITHMS],
    audience: rules.audience,
    ...(expected !== undefined && { issuer: expected }),
    clockTolerance: SKEW_S,
    currentDate: new Date(rules.nowMs),
    requiredClaims: ["exp", "iat", "sub"],
  });
  return payload;
}

function toRefusal(error: unknown, rules: TokenRules): unknown {
  if (error instanceof errors.JWTExpired) {
    return refuse("JWT_EXPIRED", rules, "has expired: its platform renews it; is it read anew at each use?");
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === "aud") return refuse("JWT_WRONG_AUDIENCE", rules, `is not for audience "${rules.audience}"`);
    if (error.claim === "iss") return refuse("JWT_WRONG_ISSUER", rules, "is of another issuer");
    if (error.claim === "nbf") return refuse("JWT_NOT_YET_VALID", rules, "is not good yet: are the clocks right?");
    return refuse("JWT_INVALID", rules, `lacks a good "${error.claim}"`);
  }
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWSSignatureVerificationFailed) {
    return refuse("JWT_INVALID", rules, "is not signed by one of the keys that are registered for it");
  }
  if (error instanceof errors.JOSEError) return refuse("JWT_INVALID", rules, "is no JWT with a public-key signature");
  return error;
}

function refuse(reason: Reason, { owner }: TokenRules, why: string) {
  return refusal(reason, `${owner}: its token ${why}`);
}
