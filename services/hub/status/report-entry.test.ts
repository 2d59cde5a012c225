import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeReport, encodeReport, reportKey } from "./report-entry.ts";

test("is read as it was written", () => {
  const anyEntry = fc.record({
    gateway: fc.record({ clusterId: fc.stringMatching(/^[a-z0-9-]{1,63}$/), ordinal: fc.integer({ min: 0, max: 15 }) }),
    receivedAtMs: fc.double({ noNaN: true }),
    bytes: fc.uint8Array(),
  });
  fc.assert(
    fc.property(anyEntry, (entry) => {
      expect(decodeReport(reportKey(entry.gateway), encodeReport(entry))).toEqual(entry);
    }),
  );
});

test.each(["status.eu.0", "applied.eu", "applied.eu.x", "applied..0", "applied.eu.0.1"])("%s is no report", (key) => {
  expect(decodeReport(key, new Uint8Array(8))).toBeUndefined();
});

test("a torn entry is no report", () => {
  expect(decodeReport("applied.eu.0", new Uint8Array(7))).toBeUndefined();
});
