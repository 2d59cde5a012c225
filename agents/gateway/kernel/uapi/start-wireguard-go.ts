/** @module Starts a wireguard-go process that outlives the agent. */
import { spawn } from "node:child_process";
import { kernelError } from "../kernel-error.ts";
import type { Run } from "../namespace.ts";

/**
 * Starts wireguard-go for the device `name` and returns once it answers on its socket. It forks into the background by
 * itself, in a session of its own; under systemd the agent's unit needs `KillMode=process` to leave it alone.
 * `run` wraps the spawning itself: it may enter a network namespace meanwhile.
 */
export async function startWireGuardGo(program: string, name: string, run: Run): Promise<void> {
  const output: Buffer[] = [];
  const child = run(() => spawn(program, [name], { detached: true, env: {}, stdio: ["ignore", "pipe", "pipe"] }));
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", (cause) => {
      const said = `cannot run ${program}: install wireguard-go, or use the kernel's WireGuard`;
      reject(kernelError(`start wireguard-go for ${name}`, "ENOENT", said, cause));
    });
    child.on("close", resolve);
  });
  if (code === 0) return;
  throw kernelError(`start wireguard-go for ${name}`, `exit ${code}`, lastLine(Buffer.concat(output).toString()));
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
