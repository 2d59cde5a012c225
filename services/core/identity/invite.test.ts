import fc from "fast-check";
import { expect, test } from "vitest";
import { formatInvite, type Invite, parseInvite } from "./invite.ts";

const invite: Invite = {
  clusterId: "eu",
  hubAddress: "hub.example:7443",
  caSpkiSha256: new Uint8Array(32).fill(1),
  authoritySha256: new Uint8Array(32).fill(2),
};
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const anyInvite: fc.Arbitrary<Invite> = fc.record({
  clusterId: fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/),
  hubAddress: fc.constantFrom("hub.example:7443", "192.0.2.1:1", "[2001:db8::1]:65535"),
  caSpkiSha256: bytes32,
  authoritySha256: bytes32,
});

test("is read as it was written", () => {
  fc.assert(
    fc.property(anyInvite, (written) => {
      expect(parseInvite(`\n ${formatInvite(written)}\n`)).toEqual(written);
    }),
  );
});

test("is never read when it was cut, lengthened, or is a join token", () => {
  const text = formatInvite(invite);
  for (let length = 0; length < text.length; length++) {
    expect(() => parseInvite(text.slice(0, length)), String(length)).toThrow("invite: ");
  }
  expect(() => parseInvite(`${text}AAAA`)).toThrow("something follows its end");
  expect(() => parseInvite(text.replace("swi1.", "sw1."))).toThrow('it does not begin with "swi1."');
});

test.each([
  { name: "cluster id", wrong: { clusterId: "Eu" } },
  { name: "hub address", wrong: { hubAddress: "hub.example" } },
  { name: "pin", wrong: { caSpkiSha256: new Uint8Array(33) } },
])("a wrong $name is not written", ({ wrong }) => {
  expect(() => formatInvite({ ...invite, ...wrong })).toThrow("invite: ");
});
