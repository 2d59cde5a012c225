import { expect, test } from "vitest";
import { isOk } from "./bench.ts";
import { seededRandom } from "./seeded-random.ts";
import { judgeRatios } from "./verdict.ts";

const LIMITS = { median: 0.98, low: 0.95 };

test.each([
  { name: "all alike", ratios: [1, 1, 1, 1, 1], want: "at-least" },
  { name: "a narrow sample just above", ratios: [0.98, 0.99, 1, 0.98, 0.99], want: "at-least" },
  { name: "the median too low", ratios: [0.97, 0.97, 0.97, 0.97, 0.97], want: "inconclusive" },
  { name: "the interval too wide", ratios: [0.5, 0.6, 1, 1, 1.2], want: "inconclusive" },
  { name: "nothing measured", ratios: [], want: "inconclusive" },
])("$name: $want", ({ ratios, want }) => {
  const { median, low, high, target } = judgeRatios(ratios, LIMITS, seededRandom(1));
  expect(target.kind).toBe(want);
  expect(isOk({ name: "", value: median, unit: "x", control: undefined, target })).toBe(want === "at-least");
  if (ratios.length > 0) expect([low, median, high]).toEqual([low, median, high].toSorted((a, b) => a - b));
});
