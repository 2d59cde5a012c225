import { createPrivateKey, createPublicKey } from "node:crypto";
import { Secret } from "@spanwire/core/identity/secret";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createSigner, generateSigningKey, signingKeyPem, signingKeySpki } from "./signing-key.ts";
import { createVerify } from "./verify.ts";

/** RFC 8032, section 7.1. */
const vectors = [
  {
    name: "TEST 1",
    privateKey: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    message: "",
    signature:
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  },
  {
    name: "TEST 2",
    privateKey: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    message: "72",
    signature:
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  },
];

test.each(vectors)("signs and verifies RFC 8032 $name", async ({ privateKey, publicKey, message, signature }) => {
  const signer = createSigner(new Secret(hex(privateKey)));
  expect(Buffer.from(signer.publicKey).toString("hex")).toBe(publicKey);
  expect(Buffer.from(await signer.sign(hex(message))).toString("hex")).toBe(signature);
  expect(createVerify()(hex(publicKey), hex(message), hex(signature))).toBe(true);
});

test("a signature holds for its own bytes and key only", () => {
  const verify = createVerify();
  const [key, other] = [generateSigningKey(), generateSigningKey()];
  const signer = createSigner(key.privateKey);
  expect(signer.publicKey).toEqual(key.publicKey);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), fc.nat(), (bytes, at) => {
      const signature = signer.signNow(bytes);
      const changed = bytes.slice();
      changed[at % bytes.length] = (changed[at % bytes.length] ?? 0) ^ 1;
      expect(verify(key.publicKey, bytes, signature)).toBe(true);
      expect(verify(key.publicKey, changed, signature)).toBe(false);
      expect(verify(other.publicKey, bytes, signature)).toBe(false);
    }),
  );
});

test("hostile keys and signatures are false, never an error", () => {
  const verify = createVerify();
  fc.assert(
    fc.property(
      fc.uint8Array(),
      fc.uint8Array({ maxLength: 80 }),
      fc.uint8Array({ maxLength: 80 }),
      (bytes, key, signature) => {
        expect(verify(key, bytes, signature)).toBe(false);
      },
    ),
  );
  expect(verify(new Uint8Array(32).fill(255), hex("00"), new Uint8Array(64))).toBe(false);
});

test("forgets the least recently used key and imports it again", () => {
  const verify = createVerify({ cachedKeys: 2 });
  const signed = Array.from({ length: 4 }, () => {
    const { privateKey, publicKey } = generateSigningKey();
    return { publicKey, signature: createSigner(privateKey).signNow(hex("01")) };
  });
  for (const { publicKey, signature } of [...signed, ...signed]) {
    expect(verify(publicKey, hex("01"), signature)).toBe(true);
  }
});

test("PEM and SPKI are what node:crypto reads as the same key", () => {
  const { privateKey, publicKey } = generateSigningKey();
  const key = createPrivateKey(Buffer.from(signingKeyPem(privateKey).reveal()));
  expect(createPublicKey(key).export({ format: "der", type: "spki" })).toEqual(Buffer.from(signingKeySpki(publicKey)));
});

test("keys of a wrong length are refused", () => {
  expect(() => createSigner(new Secret(new Uint8Array(31)))).toThrow("ed25519 private key: 31 bytes instead of 32");
  expect(() => signingKeySpki(new Uint8Array(33))).toThrow("ed25519 public key: 33 bytes instead of 32");
});

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}
