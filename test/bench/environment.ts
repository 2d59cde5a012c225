/** @module Where figures were taken: without it they mean nothing. */
import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { availableParallelism, release } from "node:os";
import { promisify } from "node:util";
import { natsServerPath } from "../lab/nats-server.ts";

const run = promisify(execFile);

export interface Environment {
  readonly kernel: string;
  readonly accelerator: "kvm" | "none";
  readonly cpus: number;
  readonly node: string;
  readonly nats: string;
  readonly commit: string;
}

export async function describeEnvironment(): Promise<Environment> {
  return {
    kernel: release(),
    accelerator: await access("/dev/kvm").then(
      () => "kvm" as const,
      () => "none" as const,
    ),
    cpus: availableParallelism(),
    node: process.versions.node,
    nats: await output(await natsServerPath(), "--version"),
    commit: await output("git", "rev-parse", "--short", "HEAD"),
  };
}

async function output(file: string, ...args: readonly string[]): Promise<string> {
  return run(file, args).then(
    ({ stdout }) => stdout.trim(),
    () => "unknown",
  );
}
