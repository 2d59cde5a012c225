/** @module The tier of tests that need root and a kernel with WireGuard. */
import { join } from "node:path";
import { readLabConfig } from "./config.ts";
import { executeOrThrow } from "./execute.ts";
import { ensurePrograms } from "./programs.ts";
import { progressToStderr } from "./progress.ts";
import type { VmOutcome } from "./vm/boot.ts";
import { CHECKOUT, type VmRun } from "./vm/run.ts";
import { runWhereWireGuardIs } from "./where-wireguard-is.ts";

/** Three times what it takes on an idle machine: a slow one must not make a good run fail. */
const LIMIT_MS = 45 * 60_000;

/** Runs the `netns` project of Vitest, unchanged, where WireGuard is; throws `Unavailable` when that is nowhere. */
export async function runNetnsTier(filters: readonly string[] = [], options: Partial<VmRun> = {}): Promise<VmOutcome> {
  // One test runs systemd inside and installs the package there; to bundle takes seconds here, and much longer in the VM.
  await ensurePrograms(["systemctl"], readLabConfig(), progressToStderr());
  await executeOrThrow([process.execPath, join(CHECKOUT, "services/cli/build.ts")]);
  const command = ["vitest", "run", "--project", "netns", ...filters];
  const env = { ...options.env, SPANWIRE_BUILT: "yes" };
  return runWhereWireGuardIs({ timeoutMs: LIMIT_MS, ...options, command, env });
}
