/** @module An issuer's public keys (RFC 7517), as an operator or the issuer gives them. */
import { createPublicKey } from "node:crypto";
import type { JSONWebKeySet, JWK } from "jose";
import { refusal } from "../refusal.ts";

const MAX_KEYS = 32;
const MIN_RSA_BITS = 2_048;
const CURVES = new Set(["P-256", "P-384", "P-521", "Ed25519"]);
/** Halves that are no issuer's to publish. */
const PRIVATE = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/**
 * Reads a key set and keeps the members that public keys have. Keys of other kinds are left out, as the RFC asks. Throws
 * `INVALID_JWKS` for what is none, holds no key that could verify, or holds a private or shared one.
 */
export function readJwks(text: string): JSONWebKeySet {
  const parsed = parse(text);
  const listed = isObject(parsed) && Array.isArray(parsed["keys"]) ? parsed["keys"] : undefined;
  if (listed === undefined) throw invalid('it is not of the form {"keys": [...]}');
  if (listed.length > MAX_KEYS) throw invalid(`it holds more than ${MAX_KEYS} keys`);
  if (listed.some((key) => isObject(key) && PRIVATE.some((member) => member in key))) {
    throw invalid(
      "it holds a private or a shared key, which must never leave the issuer: replace that key, and give the public ones",
    );
  }
  const keys = listed.flatMap((key) => (isObject(key) ? (toPublicKey(key) ?? []) : []));
  if (keys.length === 0)
    throw invalid("it holds no RSA key of 2048 bits or more, nor one of P-256, P-384, P-521 or Ed25519");
  return { keys };
}

type Members = Readonly<Record<string, unknown>>;

function toPublicKey(key: Members): JWK | undefined {
  if (key["use"] !== undefined && key["use"] !== "sig") return undefined;
  const jwk = pickTexts(key, key["kty"] === "RSA" ? ["kty", "n", "e"] : ["kty", "crv", "x", "y"]);
  return isUsable(jwk) ? { ...jwk, ...pickTexts(key, ["kid", "alg"]) } : undefined;
}

function isUsable(jwk: JWK): boolean {
  try {
    const { asymmetricKeyDetails } = createPublicKey({ key: { ...jwk }, format: "jwk" });
    if (jwk.kty === "RSA") return (asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS;
    return CURVES.has(jwk.crv ?? "");
  } catch {
    return false;
  }
}

/** Those of the members that are there and are texts. */
function pickTexts(key: Members, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.flatMap((name) => (typeof key[name] === "string" ? [[name, key[name]]] : [])));
}

function parse(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null;
}

function invalid(why: string) {
  return refusal("INVALID_JWKS", `key set of the issuer: ${why}`);
}
