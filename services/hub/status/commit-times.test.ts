import { expect, test } from "vitest";
import { createCommitTimes } from "./commit-times.ts";

test("tells when each write after the first look became known", () => {
  const times = createCommitTimes();
  times.note(10, 1_000); // what was there before
  times.note(12, 2_000);
  times.note(13, 3_000);
  expect(times.between(9, 10)).toEqual([]);
  expect(times.between(10, 13)).toEqual([2_000, 2_000, 3_000]);
  expect(times.between(12, 99)).toEqual([3_000]);
  expect(times.between(13, 13)).toEqual([]);
});

test("forgets the oldest, however far the sequence jumps", () => {
  const times = createCommitTimes();
  times.note(1, 1);
  times.note(1_000_000_000, 2);
  expect(times.between(0, 1)).toEqual([]);
  expect(times.between(0, 1_000_000_000)).toHaveLength(4096);
});
