import { Secret } from "@spanwire/core/identity/secret";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatNatsCreds, parseNatsCreds } from "./nats-creds.ts";
import { decodeNatsJwt, encodeNatsJwt } from "./nats-jwt.ts";
import { createNkeyPair, encodeNkeySeed } from "./nkey.ts";
import { createVerify } from "./verify.ts";

const verify = createVerify();
const seed = (n: number) => new Secret(new Uint8Array(32).fill(n));
const account = createNkeyPair("account", seed(1));
const other = createNkeyPair("account", seed(2));
const claims = { iat: 1, sub: account.publicKey, nats: { type: "account", version: 2 } };
const token = encodeNatsJwt(claims, account);
const [header = "", payload = "", signature = ""] = token.split(".");

test("reads back what was signed", () => {
  expect(decodeNatsJwt(token, verify)).toMatchObject({ ...claims, iss: account.publicKey });
});

const forged = Buffer.from(JSON.stringify({ ...claims, iss: other.publicKey, jti: "X" })).toString("base64url");
test.each([
  { name: "another issuer's name", bad: `${header}.${forged}.${signature}`, message: "the signature is not that of" },
  { name: "a cut signature", bad: token.slice(0, -2), message: "the signature is not that of" },
  { name: "no signature", bad: `${header}.${payload}.`, message: "the signature is not that of" },
  { name: "algorithm none", bad: `${json({ typ: "JWT", alg: "none" })}.${payload}.`, message: "not a token of NATS" },
  { name: "a fourth part", bad: `${token}.x`, message: "not a token of NATS" },
  { name: "claims that are no object", bad: `${header}.${json(null)}.${signature}`, message: "not a token of NATS" },
])("refuses $name", ({ bad, message }) => {
  expect(() => decodeNatsJwt(bad, verify)).toThrow(message);
});

test("random text is refused and never crashes", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(() => decodeNatsJwt(text, verify)).toThrow("nats jwt");
    }),
  );
});

test("credentials are read back from their file", () => {
  const creds = { jwt: token, seed: encodeNkeySeed("user", seed(3)) };
  const read = parseNatsCreds(formatNatsCreds(creds));
  expect(read.jwt).toBe(token);
  expect(read.seed.equals(creds.seed)).toBe(true);
  expect(() => parseNatsCreds(new Secret(Buffer.from("nothing")))).toThrow("holds no user token and seed");
});

function json(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
