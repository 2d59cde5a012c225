import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import fc from "fast-check";
import { base64url, type JWTPayload } from "jose";
import { beforeAll, expect, test } from "vitest";
import { FORGERIES } from "./forgeries.ts";
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

test.each(Object.entries(FORGERIES))("a forged token is refused: %s", async (_name, forge) => {
  const token = await forge({ issuer, other, claims });
  const refused = verify(token);
  await expect(refused).rejects.toMatchObject({ reason: "JWT_INVALID", code: "unauthenticated" });
  await refused.catch((error: Error) => expect(error.message).not.toContain(token.slice(0, 40)));
});

test("a token whose key id is none of the given ones is refused", async () => {
  await expect(verify(await other.sign(claims, { kid: "key-2" }))).rejects.toMatchObject({ reason: "JWT_INVALID" });
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
