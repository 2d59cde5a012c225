/** @module Whether a sample of ratios reaches a target: its median and the lower end of its 95 % interval decide. */
import type { Target } from "./bench.ts";
import { median, medianInterval } from "./statistics.ts";

export interface RatioLimits {
  readonly median: number;
  /** Of the interval's lower end. */
  readonly low: number;
}

export interface Verdict {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** "at-least" where both limits are reached, else "inconclusive". */
  readonly target: Target;
}

export function judgeRatios(ratios: readonly number[], limits: RatioLimits, random: () => number): Verdict {
  const middle = median(ratios);
  const { low, high } = medianInterval(ratios, random);
  const isReached = middle >= limits.median && low >= limits.low;
  return { median: middle, low, high, target: { kind: isReached ? "at-least" : "inconclusive", limit: limits.median } };
}
