import { expect, test } from "vitest";
import { constantTimeEqual } from "./constant-time-equal.ts";
import { randomBytes, randomSecret, systemRandom } from "./random.ts";
import { sha256, sha256Hex } from "./sha256.ts";

test("random bytes have the asked length and differ", () => {
  expect(randomBytes(32)).toHaveLength(32);
  expect(randomBytes(32)).not.toEqual(randomBytes(32));
  expect(`${randomSecret(8)}`).toBe("[secret]");
});

test("the random number is in [0, 1)", () => {
  const numbers = Array.from({ length: 1000 }, systemRandom);
  expect(numbers.every((n) => n >= 0 && n < 1)).toBe(true);
  expect(new Set(numbers).size).toBeGreaterThan(990);
});

test("SHA-256 of text and bytes (FIPS 180-2, appendix B.1)", () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  expect(sha256Hex("abc")).toBe(abc);
  expect(Buffer.from(sha256(Buffer.from("abc"))).toString("hex")).toBe(abc);
});

test("compares content and length", () => {
  expect(constantTimeEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(constantTimeEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(constantTimeEqual(Uint8Array.of(1), Uint8Array.of(1, 2))).toBe(false);
});
