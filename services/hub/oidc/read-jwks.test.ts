import { exportJWK, generateKeyPair } from "jose";
import { expect, test } from "vitest";
import { readJwks } from "./read-jwks.ts";
import { createTestIssuer } from "./testing.ts";

const set = (...keys: unknown[]) => JSON.stringify({ keys });

test("keeps the public members of keys that can verify, and leaves out the others", async () => {
  const { jwk } = await createTestIssuer();
  const read = readJwks(
    set({ ...jwk, x5c: ["junk"], more: 1 }, { kty: "RSA", n: "AQAB", e: "AQAB" }, { ...jwk, use: "enc" }, 7, null),
  );
  expect(read.keys).toEqual([{ kty: "EC", crv: "P-256", x: jwk.x, y: jwk.y, kid: jwk.kid, alg: "ES256" }]);
});

test.each([
  { name: "no JSON", text: "{" },
  { name: "a list", text: "[]" },
  { name: "no keys", text: set() },
  { name: "more keys than an issuer has", text: set(...Array.from({ length: 33 }, () => ({ kty: "EC" }))) },
  { name: "a key off its curve", text: set({ kty: "EC", crv: "P-256", x: "AQAB", y: "AQAB" }) },
  { name: "an RSA key of 512 bits", text: set({ kty: "RSA", n: `${"A".repeat(85)}B`, e: "AQAB" }) },
])("$name is refused", ({ text }) => {
  expect(() => readJwks(text)).toThrow(expect.objectContaining({ reason: "INVALID_JWKS" }));
});

test("a private or a shared key is refused, and not repeated", async () => {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const { jwk } = await createTestIssuer();
  const leaked = await exportJWK(privateKey);
  for (const key of [leaked, { kty: "oct", k: "c2VjcmV0" }]) {
    const read = () => readJwks(set(jwk, key));
    expect(read).toThrow("a private or a shared key");
    expect(read).not.toThrow(key.d ?? key.k);
  }
});
