import { createSecretKey } from "node:crypto";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { expect, test } from "vitest";
import { checkNonce, issueChallenge } from "./challenge.ts";

const NOW = 1_800_000_000_000;
const key = createSecretKey(new Uint8Array(32).fill(1));
const { nonce, expiresAtMs } = issueChallenge(key, NOW, randomBytes(16));

test.each([
  { name: "at once", nowMs: NOW, want: "fresh" },
  { name: "until it expires", nowMs: expiresAtMs, want: "fresh" },
  { name: "later", nowMs: expiresAtMs + 1, want: "expired" },
  { name: "by a replica whose clock is behind", nowMs: NOW - 10_000, want: "fresh" },
  { name: "long before it was made", nowMs: NOW - 10_001, want: "expired" },
])("a nonce is $want $name", ({ nowMs, want }) => {
  expect(checkNonce(key, nonce, nowMs)).toBe(want);
});

test("a nonce with any bit changed is forged", () => {
  for (let bit = 0; bit < nonce.length * 8; bit++) {
    const changed = nonce.slice();
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(checkNonce(key, changed, NOW)).toBe("forged");
  }
});

test.each([
  { name: "another key", of: () => issueChallenge(createSecretKey(new Uint8Array(32)), NOW, randomBytes(16)).nonce },
  { name: "nothing", of: () => new Uint8Array() },
  { name: "a shorter one", of: () => nonce.subarray(1) },
  { name: "a longer one", of: () => Uint8Array.of(...nonce, 0) },
  { name: "zeros", of: () => new Uint8Array(40) },
])("a nonce of $name is forged", ({ of }) => {
  expect(checkNonce(key, of(), NOW)).toBe("forged");
});
