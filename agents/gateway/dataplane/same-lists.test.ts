import { expect, test } from "vitest";
import { areSame } from "./same-lists.ts";

test.each([
  { name: "nothing and nothing", a: [], b: [], want: true },
  { name: "equal lists", a: [1, 2], b: [1, 2], want: true },
  { name: "another order", a: [1, 2], b: [2, 1], want: false },
  { name: "one that is longer", a: [1], b: [1, 2], want: false },
  { name: "one that is shorter", a: [1, 2], b: [1], want: false },
])("$name: $want", ({ a, b, want }) => {
  expect(areSame<number, number>(a, b, Object.is)).toBe(want);
});
