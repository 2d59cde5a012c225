import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const BIN = join(import.meta.dirname, "bin.ts");
const NOBODY = 65_534;

/** Runs the agent as a user without any capability; gives its exit code and what it said. */
async function runUnprivileged(
  env: Record<string, string>,
): Promise<{ readonly code: unknown; readonly said: string }> {
  const isRoot = process.getuid?.() === 0;
  const options = { env: { PATH: "/usr/bin:/bin", ...env }, ...(isRoot && { uid: NOBODY, gid: NOBODY }) };
  return promisify(execFile)(process.execPath, [BIN], options).then(
    ({ stderr }) => ({ code: 0, said: stderr }),
    ({ code, stderr }) => ({ code, said: String(stderr) }),
  );
}

test("without CAP_NET_ADMIN it says what it needs, and how to give it", async () => {
  const { code, said } = await runUnprivileged({});
  expect(code).toBe(1);
  expect(said).toContain("the gateway agent needs the capability CAP_NET_ADMIN");
  expect(said).toContain("AmbientCapabilities=CAP_NET_ADMIN");
});

test("a setting that does not exist is named", async () => {
  const { code, said } = await runUnprivileged({ SPANWIRE_AGENT_PREFIX: "10.0.0.0/8" });
  expect(code).toBe(1);
  expect(said).toContain("SPANWIRE_AGENT_PREFIX: no setting has this name");
});
