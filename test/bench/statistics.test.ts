import fc from "fast-check";
import { expect, test } from "vitest";
import { seededRandom } from "./seeded-random.ts";
import { median, medianInterval, quantile } from "./statistics.ts";

test.each([
  { sample: [3], q: 0.99, want: 3 },
  { sample: [4, 1, 3, 2], q: 0.5, want: 2.5 },
  { sample: [1, 2, 3, 4, 5], q: 0.99, want: 4.96 },
  { sample: [1, 2], q: 1, want: 2 },
])("quantile $q of $sample", ({ sample, q, want }) => {
  expect(quantile(sample, q)).toBeCloseTo(want);
});

test("the interval holds the median and does not change the sample", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 40 }), (sample) => {
      const before = [...sample];
      const { low, high } = medianInterval(sample, seededRandom(1), 200);
      expect(low).toBeLessThanOrEqual(median(sample));
      expect(high).toBeGreaterThanOrEqual(median(sample));
      expect(sample).toEqual(before);
    }),
  );
});
