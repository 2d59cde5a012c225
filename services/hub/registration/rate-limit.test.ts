import { expect, test } from "vitest";
import { createRateLimiter } from "./rate-limit.ts";

test("lets a burst pass, then one for each interval", () => {
  const limiter = createRateLimiter({ perSecond: 10, burst: 3 });
  const taken = [0, 0, 0, 0, 99, 100, 100, 200].map((nowMs) => limiter.take("a", nowMs));
  expect(taken).toEqual([true, true, true, false, false, true, false, true]);
});

test("a name is not charged for another one, nor for what it was refused", () => {
  const limiter = createRateLimiter({ perSecond: 1, burst: 1 });
  expect([limiter.take("a", 0), limiter.take("a", 0), limiter.take("b", 0)]).toEqual([true, false, true]);
  expect(limiter.take("a", 1_000)).toBe(true);
});

test("a clock that was set back does not lock anybody out for longer than a full bucket", () => {
  const limiter = createRateLimiter({ perSecond: 1, burst: 2 });
  limiter.take("a", 1_000_000);
  expect(limiter.take("a", 0)).toBe(true);
});
