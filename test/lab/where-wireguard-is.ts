/** @module Runs a command where the kernel has WireGuard: here, or in the lab's VM. */
import { spawn } from "node:child_process";
import { release } from "node:os";
import { join } from "node:path";

import { readLabConfig } from "./config.ts";
import { dieWithParent } from "./die-with-parent.ts";
import { execute } from "./execute.ts";
import { ensurePrograms, NETWORK_PROGRAMS } from "./programs.ts";
import { progressToStderr } from "./progress.ts";
import type { VmOutcome } from "./vm/boot.ts";
import { CHECKOUT, runInVm, type VmRun } from "./vm/run.ts";

/**
 * Runs the command as root with kernel WireGuard: in new network and mount namespaces where the running kernel has it,
 * else in the VM, which is made first when needed.
 *
 * Either way the command sees the same files, an empty network, and its namespaces are gone when it has ended. Throws
 * `Unavailable` when neither can be had.
 */
export async function runWhereWireGuardIs(run: VmRun): Promise<VmOutcome> {
  if (!(await kernelHasWireGuard())) return runInVm(run);
  await ensurePrograms(NETWORK_PROGRAMS, readLabConfig(), progressToStderr());
  return runHere(run);
}

/** Says where `runWhereWireGuardIs` would run, for a person: "kernel 6.1.0-56-amd64" or "VM". */
export async function whereWireGuardIs(): Promise<string> {
  return (await kernelHasWireGuard()) ? `kernel ${release()}` : "kernel VM";
}

/** Whether this process may make WireGuard devices in namespaces of its own. */
export async function kernelHasWireGuard(): Promise<boolean> {
  const { status } = await execute([...unshared(), "ip", "link", "add", "wg-probe", "type", "wireguard"]);
  return status === 0;
}

function unshared(): string[] {
  return ["unshare", "--net", "--mount", "--"];
}

async function runHere(run: VmRun): Promise<VmOutcome> {
  const [program = "", ...args] = await dieWithParent([...unshared(), ...run.command]);
  const deadline = AbortSignal.timeout(run.timeoutMs);
  const signal = run.signal === undefined ? deadline : AbortSignal.any([deadline, run.signal]);
  const child = spawn(program, args, {
    cwd: run.cwd,
    env: { ...process.env, PATH: `${join(CHECKOUT, "node_modules/.bin")}:${process.env["PATH"]}`, ...run.env },
    stdio: ["ignore", "pipe", "pipe"],
    signal,
    killSignal: "SIGKILL",
  });
  child.stdout.pipe(run.stdout ?? process.stdout, { end: false });
  child.stderr.pipe(run.stderr ?? process.stderr, { end: false });
  const status = await new Promise<number>((resolve, reject) => {
    child.on("error", (error) => (error.name === "AbortError" ? undefined : reject(error)));
    child.on("close", (code) => resolve(code ?? 128 + 9));
  });
  run.signal?.throwIfAborted();
  return deadline.aborted ? { kind: "timed-out", afterMs: run.timeoutMs, console: "" } : { kind: "exited", status };
}
