import { Secret } from "@spanwire/core/identity/secret";
import { expect, test } from "vitest";
import { generateWireGuardKey, wireGuardPublicKey } from "./wireguard-key.ts";

test("derives what `wg pubkey` prints", () => {
  const raw = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 0x08 : i === 31 ? 0x5f : i));
  expect(wireGuardPublicKey(new Secret(raw))).toBe("whrw5m5XxaQFDOTCKiyp7Hm+uHu+atHwLQLq+4CRilo=");
});

test("a new key is clamped, and its public half is derived from its private half", () => {
  for (let n = 0; n < 50; n++) {
    const { privateKey, publicKey } = generateWireGuardKey();
    const raw = privateKey.reveal();
    expect((raw[0] ?? 0) & 7).toBe(0);
    expect((raw[31] ?? 0) & 0xc0).toBe(0x40);
    expect(publicKey).toBe(wireGuardPublicKey(privateKey));
    expect(publicKey).toMatch(/^[A-Za-z0-9+/]{43}=$/);
  }
});

test("a private key of a wrong length is refused", () => {
  expect(() => wireGuardPublicKey(new Secret(new Uint8Array(16)))).toThrow("16 bytes instead of 32");
});
