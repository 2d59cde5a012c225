import { join } from "node:path";
import { expect, test } from "vitest";
import { execute } from "../lab/execute.ts";

const CHECKOUT = join(import.meta.dirname, "../..");

test("npm run demo holds with kernel WireGuard", async () => {
  const { status, stdout, stderr } = await execute(["npm", "run", "--silent", "demo", "--", "--json"], {
    cwd: CHECKOUT,
  });
  expect(status, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/dataplane: kernel WireGuard, on kernel \d/);
  const found = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  expect(found).toMatchObject({ dataplane: "kernel", clusters: 4, links: 6, pingLoss: 0 });
  expect(found.outageLoss).toBeLessThanOrEqual(found.controlLoss);
});
