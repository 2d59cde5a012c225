import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBase32, encodeBase32 } from "./base32.ts";

/** RFC 4648, section 10, without the padding. */
test.each([
  { text: "", encoded: "" },
  { text: "f", encoded: "MY" },
  { text: "fo", encoded: "MZXQ" },
  { text: "foo", encoded: "MZXW6" },
  { text: "foob", encoded: "MZXW6YQ" },
  { text: "fooba", encoded: "MZXW6YTB" },
  { text: "foobar", encoded: "MZXW6YTBOI" },
])("$text is $encoded", ({ text, encoded }) => {
  expect(encodeBase32(Buffer.from(text))).toBe(encoded);
  expect(Buffer.from(decodeBase32(encoded) ?? []).toString()).toBe(text);
});

test("every value has exactly one text", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(decodeBase32(encodeBase32(bytes))).toEqual(bytes);
    }),
  );
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Z2-7]*$/), (text) => {
      const bytes = decodeBase32(text);
      if (bytes !== undefined) expect(encodeBase32(bytes)).toBe(text);
    }),
  );
});

test.each(["a", "MY======", "MZ", "M", "0", "MY "])("refuses %j", (text) => {
  expect(decodeBase32(text)).toBeUndefined();
});
