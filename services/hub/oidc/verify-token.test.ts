import { createHmac, createPublicKey } from "node:crypto";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import fc from "fast-check";
import { base64url, type JWTPayload } from "jose";
import { beforeAll, expect, test } from "vitest";
import { createKeyRing } from "./issuer-keys.ts";
import { AUDIENCE, createTestIssuer, ISSUER, podClaims, type TestIssuer } from "./testing.ts";
import { type TokenRules, verifyToken } from "./verify-token.ts";

const NOW_MS = 1_790_000_000_000;
const NOW_S = NOW_MS / 1_000;
const claims = podClaims({ name: "gateway-0", uid: "u-1" }, NOW_MS);
const part = (value: object | string) => base64url.encode(typeof value === "string" ? value : JSON.stringify(value));

let issuer: TestIssuer;
let other: TestIssuer;
beforeAll(async () => {
  issuer = await createTestIssuer("RS256", "key-1");
  other = await createTestIssuer("RS256", "key-1"); // the same key id and the same `iss`: only the key differs
});

function verify(token: string, changes: Partial<TokenRules> = {}) {
  const source = { kind: "given", jwks: issuer.jwks } as const;
  const rules = { owner: "cluster eu", source, audience: AUDIENCE, issuer: undefined, nowMs: NOW_MS, ...changes };
  return verifyToken(createKeyRing({ clock: new FakeClock(NOW_MS), onFailure: () => {} }), token, rules);
}

test.each(["RS256", "ES256", "EdDSA"] as const)("a token of the issuer is good: %s", async (alg) => {
  const signer = await createTestIssuer(alg);
  const good = await verify(await signer.sign(claims), { source: { kind: "given", jwks: signer.jwks } });
  expect(good).toEqual(claims);
});

/** Signed by the issuer, with other claims. */
test.each([
  { name: "expired", wrong: { iat: NOW_S - 900, nbf: NOW_S - 900, exp: NOW_S - 61 }, want: "JWT_EXPIRED" },
  { name: "not yet valid", wrong: { nbf: NOW_S + 61 }, want: "JWT_NOT_YET_VALID" },
  { name: "issued in the future", wrong: { iat: NOW_S + 61 }, want: "JWT_NOT_YET_VALID" },
  { name: "for another audience", wrong: { aud: ["https://kubernetes.default.svc"] }, want: "JWT_WRONG_AUDIENCE" },
  { name: "for no audience", wrong: { aud: undefined }, want: "JWT_WRONG_AUDIENCE" },
  { name: "of another issuer", wrong: { iss: "https://else.example" }, want: "JWT_WRONG_ISSUER", by: ISSUER },
  { name: "without an end", wrong: { exp: undefined }, want: "JWT_INVALID" },
  { name: "without a beginning", wrong: { iat: undefined }, want: "JWT_INVALID" },
  { name: "without a subject", wrong: { sub: undefined }, want: "JWT_INVALID" },
  { name: "good for a year", wrong: { exp: NOW_S + 365 * 86_400 }, want: "JWT_LIVES_TOO_LONG" },
  { name: "good for a day and backdated", wrong: { iat: NOW_S - 60, exp: NOW_S + 86_400 }, want: "JWT_LIVES_TOO_LONG" },
  { name: "issued at a text", wrong: { iat: "0" as unknown as number }, want: "JWT_INVALID" },
])("a token that is $name is refused", async ({ wrong, want, by }) => {
  const token = await issuer.sign({ ...claims, ...wrong } as JWTPayload);
  await expect(verify(token, { issuer: by })).rejects.toMatchObject({ reason: want });
});

/** Not signed by the issuer. */
const FORGERIES: Readonly<Record<string, (good: string) => string | Promise<string>>> = {
  "another cluster's key with the same key id and issuer": () => other.sign(claims),
  "a claim changed": (good) => {
    const [header = "", , signature = ""] = good.split(".");
    return `${header}.${part({ ...claims, sub: "system:serviceaccount:kube-system:admin" })}.${signature}`;
  },
  "the signature of another token": async (good) => {
    const [, , signature = ""] = (await issuer.sign({ ...claims, jti: "2" })).split(".");
    return `${good.split(".").slice(0, 2).join(".")}.${signature}`;
  },
  "no signature": (good) => `${good.split(".").slice(0, 2).join(".")}.`,
  "alg none": () => `${part({ alg: "none" })}.${part(claims)}.`,
  "alg None, and a signature": (good) => `${part({ alg: "None", kid: "key-1" })}.${part(claims)}.${good.split(".")[2]}`,
  ...Object.fromEntries(
    (["pem", "der", "jwk"] as const).map((form) => [
      `alg swapped for HS256, with the public key as ${form} for its secret`,
      () => {
        const key = createPublicKey({ key: { ...issuer.jwk }, format: "jwk" });
        const secret =
          form === "jwk"
            ? JSON.stringify(issuer.jwk)
            : form === "pem"
              ? key.export({ format: "pem", type: "spki" })
              : key.export({ format: "der", type: "spki" });
        const signed = `${part({ alg: "HS256", kid: "key-1" })}.${part(claims)}`;
        return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
      },
    ]),
  ),
  "its own key in the header": () => other.sign(claims, { jwk: other.jwk, jku: "https://evil.example/jwks" } as object),
  "a critical extension": (good) => {
    const [, payload = "", signature = ""] = good.split(".");
    return `${part({ alg: "RS256", kid: "key-1", crit: ["b64"], b64: false })}.${payload}.${signature}`;
  },
  "an unknown key id": () => other.sign(claims, { kid: "key-2" }),
  "five parts, as of an encrypted one": (good) => `${good}.${part("x")}.${part("y")}`,
  "no JSON in it": () => `${part("{")}.${part("}")}.${part("x")}`,
  "a huge one": (good) => `${good}${"A".repeat(8_192)}`,
};

test.each(Object.keys(FORGERIES))("a forged token is refused: %s", async (name) => {
  const token = await FORGERIES[name]?.(await issuer.sign(claims));
  const refused = verify(token ?? "");
  await expect(refused).rejects.toMatchObject({ reason: "JWT_INVALID", code: "unauthenticated" });
  await refused.catch((error: Error) => expect(error.message).not.toContain(token?.slice(0, 40)));
});

test("whatever is shown as a token, the answer is a refusal", async () => {
  const parts = fc.oneof(fc.base64String(), fc.json().map(part), fc.string());
  const shown = fc.oneof(
    fc.string(),
    fc.array(parts, { maxLength: 6 }).map((each) => each.join(".")),
  );
  await fc.assert(
    fc.asyncProperty(shown, async (token) => {
      await expect(verify(token)).rejects.toMatchObject({ reason: "JWT_INVALID" });
    }),
  );
});
