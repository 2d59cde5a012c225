import { Secret } from "@spanwire/core/identity/secret";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createNkeyPair, decodeNkey, decodeNkeySeed, encodeNkeySeed, type NkeyKind } from "./nkey.ts";

/** Written by the nkeys library of NATS from the private key 00 01 02 … 1f. */
const goldens: { kind: NkeyKind; seed: string; publicKey: string }[] = [
  {
    kind: "operator",
    seed: "SOAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2AJA",
    publicKey: "OAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QZVT",
  },
  {
    kind: "account",
    seed: "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI",
    publicKey: "AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV",
  },
  {
    kind: "user",
    seed: "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y",
    publicKey: "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK",
  },
];
const privateKey = new Secret(Uint8Array.from({ length: 32 }, (_, i) => i));

test.each(goldens)("writes and reads the $kind key as NATS does", ({ kind, seed, publicKey }) => {
  const pair = createNkeyPair(kind, privateKey);
  expect(pair.publicKey).toBe(publicKey);
  expect(Buffer.from(pair.sign(Buffer.from("hello"))).toString("hex")).toMatch(/^e1a7fca94a835127885b99e2eba733d6/);
  expect(decodeNkey(publicKey).kind).toBe(kind);

  const encoded = encodeNkeySeed(kind, privateKey);
  expect(Buffer.from(encoded.reveal()).toString()).toBe(seed);
  const decoded = decodeNkeySeed(encoded);
  expect(decoded.kind).toBe(kind);
  expect(decoded.privateKey.equals(privateKey)).toBe(true);
});

test.each([
  { name: "empty", text: "" },
  { name: "lower case", text: "uab2cb576phbbpq5odorrz2lycmwpzgwgcn2kdk7dxoimzaskuy3rlkk" },
  { name: "one character changed", text: "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKA" },
  { name: "cut", text: "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RL" },
  { name: "a seed", text: goldens[2]?.seed ?? "" },
])("refuses a public key that is $name", ({ text }) => {
  expect(() => decodeNkey(text)).toThrow("not an operator, account or user public key");
});

test("a refused seed is not repeated in the error", () => {
  const text = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776A";
  expect(() => decodeNkeySeed(new Secret(Buffer.from(text)))).toThrow(/^nkey seed: not a seed of an nkey$/);
});

test("random text is refused and never crashes", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(() => decodeNkey(text)).toThrow("nkey");
      expect(() => decodeNkeySeed(new Secret(Buffer.from(text)))).toThrow("nkey");
    }),
  );
});
