import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, test, vi } from "vitest";

import { runTier } from "../tier.ts";
import { ensureVm } from "./image.ts";
import { CHECKOUT, runInVm } from "./run.ts";

/** A boot takes 9 s, on a machine that does other things as well a minute. */
const BOOT_LIMIT_MS = 240_000;
vi.setConfig({ testTimeout: BOOT_LIMIT_MS });
const vm = await runTier("kernel VM", () => ensureVm());
const vmTest = test.skipIf(vm.kind === "skipped");

vmTest(
  "runs a command in the checkout on a kernel with WireGuard and returns its status and both streams",
  async () => {
    const results = await mkdtemp(join(tmpdir(), "spanwire-vm-results-"));
    const script = `pwd; node -p 'process.version.split(".")[0]'; ip link add wg0 type wireguard && ip -br link show wg0
    echo "$GIVEN" >&2; echo kept > ${results}/file; echo lost > package.json; exit 7`;
    const { outcome, stdout, stderr } = await captured(["sh", "-c", script], { results, env: { GIVEN: "it's given" } });
    expect({ outcome, stdout, stderr }).toEqual({
      outcome: { kind: "exited", status: 7 },
      stdout: expect.stringMatching(new RegExp(`^${CHECKOUT}\nv24\nwg0 +DOWN`)),
      stderr: "it's given\n",
    });
    expect(await readFile(join(results, "file"), "utf8")).toBe("kept\n");
    expect(await readFile(join(CHECKOUT, "package.json"), "utf8")).not.toBe("lost\n");
    await rm(results, { recursive: true });
  },
);

vmTest("recognises the death of the VM, and says what its console said", async () => {
  const { outcome } = await captured(["sh", "-c", "echo c > /proc/sysrq-trigger"], {});
  expect(outcome).toEqual({ kind: "died", console: expect.stringContaining("sysrq triggered crash") });
});

vmTest("says when the command was ended by a signal", async () => {
  const { outcome } = await captured(["sh", "-c", "kill -SEGV $$"], {});
  expect(outcome).toEqual({ kind: "exited", status: 128 + 11, console: expect.any(String) });
});

vmTest("ends a command that is out of time", async () => {
  const { outcome } = await captured(["sleep", "1000"], { timeoutMs: 1000 });
  expect(outcome).toMatchObject({ kind: "timed-out", afterMs: 1000 });
});

async function captured(command: readonly string[], options: Partial<Parameters<typeof runInVm>[0]>) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const output = Promise.all([text(stdout), text(stderr)]);
  const run = { timeoutMs: BOOT_LIMIT_MS, cwd: CHECKOUT, ...options };
  const outcome = await runInVm({ ...run, command, stdout, stderr });
  stdout.end();
  stderr.end();
  const [out, err] = await output;
  return { outcome, stdout: out, stderr: err };
}
