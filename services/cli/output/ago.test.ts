import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { formatAgo } from "./ago.ts";

const NOW = 1_800_000_000_000;

test.each([
  { distanceMs: 0, want: "now" },
  { distanceMs: 999, want: "now" },
  { distanceMs: 1_000, want: "1 s ago" },
  { distanceMs: 185_000, want: "3 min ago" },
  { distanceMs: 90_000_000, want: "1 d ago" },
  { distanceMs: -7_300_000, want: "in 2 h" },
])("$distanceMs ms: $want", ({ distanceMs, want }) => {
  expect(formatAgo(timestampFromMs(NOW - distanceMs), NOW)).toBe(want);
});

test("no time is never", () => {
  expect(formatAgo(undefined, NOW)).toBe("never");
});
