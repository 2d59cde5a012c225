import { expect, test } from "vitest";

import { readLabConfig } from "./config.ts";

test.each([
  { name: "an empty environment", given: {}, want: { ci: false, mayInstall: true, accelerator: undefined } },
  { name: "CI", given: { CI: "true" }, want: { ci: true } },
  { name: "no installing", given: { SPANWIRE_NO_INSTALL: "1" }, want: { mayInstall: false } },
  { name: "an accelerator", given: { SPANWIRE_LAB_ACCEL: "tcg" }, want: { accelerator: "tcg" } },
  { name: "a cache", given: { XDG_CACHE_HOME: "/c" }, want: { cacheDirectory: "/c/spanwire-lab" } },
])("reads $name", ({ given, want }) => {
  expect(readLabConfig(given)).toMatchObject(want);
});

test("refuses an unknown accelerator", () => {
  expect(() => readLabConfig({ SPANWIRE_LAB_ACCEL: "hvf" })).toThrow("must be tcg or kvm");
});

test("passes on only what the command in the VM may see", () => {
  const given = { HOME: "/h", CI: "true", SPANWIRE_N: "5", AWS_SECRET: "s", PATH: "/bin" };
  expect(readLabConfig(given).inherited).toEqual({ HOME: "/h", CI: "true", SPANWIRE_N: "5" });
});
