import fc from "fast-check";
import { expect, test } from "vitest";
import { formatJoinToken, type JoinToken, parseJoinToken } from "./join-token.ts";
import { Secret } from "./secret.ts";

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const anyToken: fc.Arbitrary<JoinToken> = fc.record({
  id: fc.stringMatching(/^[a-z0-9]{16}$/),
  secret: bytes32.map((bytes) => new Secret(bytes)),
  clusterId: fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/),
  hubAddress: fc.constantFrom("hub.example:7443", "192.0.2.1:1", "[2001:db8::1]:65535", `${"h".repeat(240)}:65535`),
  caSpkiSha256: bytes32,
  authoritySha256: bytes32,
});
const token: JoinToken = {
  id: "abcdefgh01234567",
  secret: new Secret(new Uint8Array(32).fill(7)),
  clusterId: "eu",
  hubAddress: "hub.example:7443",
  caSpkiSha256: new Uint8Array(32).fill(1),
  authoritySha256: new Uint8Array(32).fill(2),
};

const textOf = (of: JoinToken) => String.fromCharCode(...formatJoinToken(of).reveal());

test("is read as it was written", () => {
  fc.assert(
    fc.property(anyToken, (written) => {
      const read = parseJoinToken(`\n ${textOf(written)}\n`);
      expect({ ...read, secret: [...read.secret.reveal()] }).toEqual({
        ...written,
        secret: [...written.secret.reveal()],
      });
    }),
  );
});

test("is one text that survives a shell, a URL and a double click", () => {
  expect(textOf(token)).toMatchInlineSnapshot(
    `"sw1.YWJjZGVmZ2gwMTIzNDU2NwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQECAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgJldRBodWIuZXhhbXBsZTo3NDQz"`,
  );
});

test("is never read when it was cut or lengthened", () => {
  const text = textOf(token);
  for (let length = 0; length < text.length; length++) {
    expect(() => parseJoinToken(text.slice(0, length)), String(length)).toThrow("join token: ");
  }
  expect(() => parseJoinToken(`${text}AAAA`)).toThrow("something follows its end");
});

test("random text is refused without being repeated", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.base64String().map((text) => `sw1.${text}`),
      ),
      (text) => {
        try {
          parseJoinToken(text);
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid", reason: "TOKEN_MALFORMED" });
          if (text.length > 16) expect(String(error)).not.toContain(text);
        }
      },
    ),
  );
});

test.each([
  { name: "id", wrong: { id: "ABC" } },
  { name: "cluster id", wrong: { clusterId: "Eu" } },
  { name: "hub address", wrong: { hubAddress: "hub.example" } },
  { name: "port", wrong: { hubAddress: "hub.example:70000" } },
  { name: "secret", wrong: { secret: new Secret(new Uint8Array(31)) } },
  { name: "pin", wrong: { caSpkiSha256: new Uint8Array(33) } },
])("a wrong $name is not written", ({ wrong }) => {
  expect(() => formatJoinToken({ ...token, ...wrong })).toThrow("join token: ");
});
