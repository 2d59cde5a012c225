/** @module One run of the nft tool. */
import { spawn } from "node:child_process";
import { kernelError } from "../kernel-error.ts";
import { withMemoryFile } from "../memory-file.ts";
import type { Run } from "../namespace.ts";

const TIMEOUT_MS = 10_000;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface NftResult {
  readonly stdout: string;
  /** What nft complained about; empty when it succeeded. */
  readonly complaint: string;
}

/** Where nft finds its input: by a name that needs no udev, as /dev/stdin does. */
export const INPUT_FILE = "/proc/self/fd/0";

/**
 * Runs nft with these arguments and `input` in INPUT_FILE. That has to be a file: nft opens its standard input by name,
 * which for Node's usual child stdin, a socket, fails with ENXIO (nodejs/node#21941). Throws when nft cannot be run.
 */
export function runNft(args: readonly string[], input: string, run: Run): Promise<NftResult> {
  const child = withMemoryFile(input, (stdin) =>
    run(() => spawn("nft", args, { env: { PATH, LC_ALL: "C" }, stdio: [stdin, "pipe", "pipe"], timeout: TIMEOUT_MS })),
  );
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.on("error", (cause) => {
      reject(kernelError("run nft", "ENOENT", "cannot run nft: install the package nftables", cause));
    });
    child.on("close", (code, signal) => {
      if (signal !== null) {
        reject(kernelError("run nft", "ETIMEDOUT", `nft was ended after ${TIMEOUT_MS / 1000} s (${signal})`));
        return;
      }
      const complaint = code === 0 ? "" : Buffer.concat(stderr).toString().trim() || `exit status ${code}`;
      resolve({ stdout: Buffer.concat(stdout).toString(), complaint });
    });
  });
}
