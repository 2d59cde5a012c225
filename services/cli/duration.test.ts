import { expect, test } from "vitest";
import { parseDurationSeconds } from "./duration.ts";

test.each([
  { text: "90s", want: 90 },
  { text: "30m", want: 1_800 },
  { text: "1h", want: 3_600 },
  { text: "7d", want: 604_800 },
])("$text is $want s", ({ text, want }) => {
  expect(parseDurationSeconds(text)).toBe(want);
});

test.each(["", "1", "h", "-1h", "1.5h", "1 h", "1h30m", "9999999s"])("refuses %j", (text) => {
  expect(() => parseDurationSeconds(text)).toThrow("write a number and a unit");
});
