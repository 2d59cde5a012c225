import { expect, test } from "vitest";
import { bitString, objectId, octetString, sequence, time, unsignedInteger, utf8String } from "./der.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** Expected bytes as `openssl asn1parse -genstr` makes them. */
test.each([
  { name: "zero", der: unsignedInteger(Uint8Array.of(0, 0)), want: "020100" },
  { name: "a positive number whose first bit is set", der: unsignedInteger(Uint8Array.of(0x80)), want: "02020080" },
  { name: "leading zeros", der: unsignedInteger(Uint8Array.of(0, 0, 1, 2)), want: "02020102" },
  { name: "an object id", der: objectId("1.2.840.10045.4.3.2"), want: "06082a8648ce3d040302" },
  { name: "bits", der: bitString(Uint8Array.of(0x80), 7), want: "03020780" },
  { name: "text", der: utf8String("ü"), want: "0c02c3bc" },
  {
    name: "a time before 2050",
    der: time(Date.UTC(2049, 11, 31, 23, 59, 59, 999)),
    want: "170d3439313233313233353935395a",
  },
  { name: "a time from 2050 on", der: time(Date.UTC(2050, 0, 1)), want: "180f32303530303130313030303030305a" },
  { name: "an empty sequence", der: sequence(), want: "3000" },
])("$name", ({ der, want }) => {
  expect(hex(der)).toBe(want);
});

test.each([
  [127, "047f"],
  [128, "048180"],
  [255, "0481ff"],
  [256, "04820100"],
  [65_536, "0483010000"],
])("a length of %i", (length, want) => {
  expect(hex(octetString(new Uint8Array(length))).slice(0, want.length)).toBe(want);
});
