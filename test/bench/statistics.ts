/** @module Figures of a sample: medians, quantiles and an interval that says how far to trust them. */

export function median(sample: readonly number[]): number {
  return quantile(sample, 0.5);
}

/** The value below which the share `q` of the sample lies, by linear interpolation; NaN for an empty sample. */
export function quantile(sample: readonly number[], q: number): number {
  const sorted = sample.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * q;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? below;
  return below + (above - below) * (position - Math.floor(position));
}

/** 95 % bootstrap interval of the median: the spread of medians of samples drawn from the sample. */
export function medianInterval(
  sample: readonly number[],
  random: () => number,
  draws = 2_000,
): { readonly low: number; readonly high: number } {
  const draw = () => median(sample.map(() => sample[Math.floor(random() * sample.length)] ?? Number.NaN));
  const medians = Array.from({ length: draws }, draw);
  return { low: quantile(medians, 0.025), high: quantile(medians, 0.975) };
}
