import fc from "fast-check";
import { expect, test } from "vitest";
import { ipFromBytes, ipToBytes, prefixToBytes } from "./ip-bytes.ts";

test.each([
  { text: "192.0.2.1", hex: "c0000201" },
  { text: "255.255.255.255", hex: "ffffffff" },
  { text: "::", hex: "00000000000000000000000000000000" },
  { text: "2001:db8::1", hex: "20010db8000000000000000000000001" },
])("$text", ({ text, hex }) => {
  expect(Buffer.from(ipToBytes(text)).toString("hex")).toBe(hex);
});

test("bytes become canonical text and the same bytes again", () => {
  fc.assert(
    fc.property(fc.constantFrom(4, 16), fc.infiniteStream(fc.integer({ min: 0, max: 255 })), (length, stream) => {
      const bytes = Buffer.from([...stream.take(length)]);
      const text = ipFromBytes(bytes, 0, length === 4 ? "ipv4" : "ipv6");
      expect(Buffer.from(ipToBytes(text))).toEqual(bytes);
    }),
  );
});

test("a prefix has a length, and an address alone all of its bits", () => {
  expect(prefixToBytes("10.1.0.0/16")).toEqual({ family: "ipv4", bytes: Buffer.of(10, 1, 0, 0), bits: 16 });
  expect(prefixToBytes("10.1.0.1").bits).toBe(32);
  expect(prefixToBytes("fd00::1").bits).toBe(128);
});
