import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { execute } from "../lab/execute.ts";
import { requireRoot } from "../lab/require-root.ts";
import { runTier } from "../lab/tier.ts";
import { listKept } from "./kept.ts";

const CHECKOUT = join(import.meta.dirname, "../..");
const DEMO = ["npm", "run", "--silent", "demo", "--"] as const;
const LIMIT_MS = 300_000;

const outcome = await runTier("the demo in userspace", async () => requireRoot());

afterAll(() => execute([...DEMO, "--end"], { cwd: CHECKOUT }));

test.skipIf(outcome.kind === "skipped")(
  "the demo holds with wireguard-go, says what it found, stays to be looked at, and ends when told",
  async () => {
    const { status, stdout } = await execute([...DEMO, "--dataplane", "userspace", "--keep", "--json"], {
      cwd: CHECKOUT,
    });
    expect(status, stdout).toBe(0);
    expect(stdout).toContain("dataplane: wireguard-go in userspace, on this kernel");
    expect(stdout).toMatch(/^STEP +SECONDS +FOUND$/m);
    expect(stdout).toMatch(/^Every step held, in \d+ s\. Next: /m);
    const found = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
    expect(found).toEqual({
      dataplane: "userspace",
      kernel: expect.any(String),
      clusters: 4,
      links: 6,
      pingLoss: 0,
      outageLoss: expect.any(Number),
      controlLoss: expect.any(Number),
      revokedEverywhereMs: expect.any(Number),
      rotationLoss: expect.any(Number),
      rotationControlLoss: expect.any(Number),
      seconds: expect.any(Number),
    });
    expect(found.outageLoss).toBeLessThanOrEqual(found.controlLoss);
    expect(found.rotationLoss).toBeLessThanOrEqual(found.rotationControlLoss);

    const looks = [...stdout.matchAll(/^ {2}(ip netns .*)$/gm)].map(([, line = ""]) => line);
    expect(looks.length).toBeGreaterThan(4);
    for (const line of looks)
      expect(await execute(["sh", "-c", line], { cwd: CHECKOUT }), line).toMatchObject({ status: 0 });
    const again = await execute([...DEMO, "--dataplane", "userspace", "--keep"], { cwd: CHECKOUT });
    expect(again).toMatchObject({ status: 2, stderr: expect.stringContaining("--end") });

    const end = stdout.match(/^ {2}(npm run demo -- --end .*)$/m)?.[1] ?? "";
    expect(await execute(["sh", "-c", end], { cwd: CHECKOUT })).toMatchObject({ status: 0 });
    expect(await listKept()).toEqual([]);
  },
  LIMIT_MS,
);

test("an unknown dataplane is wrong usage", async () => {
  const outcome = await execute([...DEMO, "--dataplane", "magic"], { cwd: CHECKOUT });
  expect(outcome).toMatchObject({ status: 2, stderr: expect.stringContaining("there are: kernel, userspace") });
});
