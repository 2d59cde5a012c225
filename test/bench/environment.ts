/** @module Where figures were taken: without it they mean nothing. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { availableParallelism, release } from "node:os";
import { promisify } from "node:util";
import { natsServerPath } from "../lab/nats-server.ts";

const run = promisify(execFile);

export interface Environment {
  readonly kernel: string;
  /** "tcg": every instruction is emulated, and only ratios mean anything. */
  readonly accelerator: "hardware" | "tcg";
  readonly cpus: number;
  readonly node: string;
  readonly nats: string;
  readonly commit: string;
}

export async function describeEnvironment(): Promise<Environment> {
  return {
    kernel: release(),
    accelerator: (await isEmulated()) ? "tcg" : "hardware",
    cpus: availableParallelism(),
    node: process.versions.node,
    nats: await output(await natsServerPath(), "--version"),
    commit: await output("git", "rev-parse", "--short", "HEAD"),
  };
}

/** Whether this machine's processor is QEMU's own. */
export async function isEmulated(): Promise<boolean> {
  return (await readFile("/proc/cpuinfo", "utf8")).includes("QEMU TCG CPU");
}

async function output(file: string, ...args: readonly string[]): Promise<string> {
  return run(file, args).then(
    ({ stdout }) => stdout.trim(),
    () => "unknown",
  );
}
