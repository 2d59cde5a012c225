import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { makeTestDirectory } from "./testing.ts";

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

test("asked for the kernel's WireGuard it never encrypts in userspace instead: it has it, or says that there is none", async () => {
  await using directory = await makeTestDirectory();
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", SPANWIRE_AGENT_STATE_DIR: directory.path };
  const inside = (...argv: readonly string[]) => promisify(execFile)("unshare", ["--net", ...argv], { env });
  const hasWireGuard = await inside("ip", "link", "add", "wg-try", "type", "wireguard").then(
    () => true,
    () => false,
  );
  const said = await inside(process.execPath, BIN).then(
    () => "",
    ({ stderr }) => String(stderr),
  );
  // Where there is one it gets as far as joining.
  expect(said).toContain(hasWireGuard ? "no join token" : "has no WireGuard: load its module, or encrypt in userspace");
  expect(said.includes("--dataplane userspace")).toBe(!hasWireGuard);
});
