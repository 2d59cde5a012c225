import { expect, test } from "vitest";

import { runTier } from "./tier.ts";
import { Unavailable } from "./unavailable.ts";

const lacking = () => Promise.reject(new Unavailable("no kernel WireGuard; run as root"));

test("a tier that lacks something is skipped with its reason on a person's machine", async () => {
  const said: string[] = [];
  const result = await runTier("netns", lacking, { ci: false }, (line) => said.push(line));
  expect(result).toEqual({ kind: "skipped", reason: "no kernel WireGuard; run as root" });
  expect(said).toEqual(["SKIPPED netns: no kernel WireGuard; run as root"]);
});

test("in CI it fails", async () => {
  await expect(runTier("netns", lacking, { ci: true })).rejects.toThrow("no kernel WireGuard");
});

test("any other error is never a reason to skip", async () => {
  const broken = () => Promise.reject(new TypeError("broken"));
  await expect(runTier("netns", broken, { ci: false })).rejects.toThrow("broken");
});
