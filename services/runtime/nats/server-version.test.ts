import { expect, test } from "vitest";
import { requireServerVersion } from "./server-version.ts";

test.each(["2.12.0", "2.12.1", "2.12.0-RC.2", "2.15.1+build.7", "3.0.0"])("%s is new enough", (version) => {
  expect(() => requireServerVersion(version)).not.toThrow();
});

test.each(["2.11.99", "2.9.10", "1.99.99", "", "latest"])("%j is not", (version) => {
  expect(() => requireServerVersion(version)).toThrow("needs 2.12.0 or newer");
});
