/**
 * @module Runs one command in the kernel VM: Debian's kernel in QEMU, the host's files under a throw-away overlay.
 *
 *     node test/lab/vm/run.ts [--timeout SECONDS] [--results DIR] [--cpus N] [--memory MIB] -- COMMAND [ARGUMENT...]
 *
 * The command runs as root in the same directory with the same PATH rules as npm scripts (node_modules/.bin first), no
 * network but what it makes, and its exit status is ours; 124 = out of time, 250 = the VM died.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";

import { readLabConfig } from "../config.ts";
import { boot, type VmOutcome } from "./boot.ts";
import { ensureVm } from "./image.ts";

export interface VmRun {
  readonly command: readonly string[];
  /** Added to HOME, CI, TERM and the SPANWIRE_ variables, which are passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** A path of the host; this process's directory by default. */
  readonly cwd?: string;
  /** Of wall time, boot included. */
  readonly timeoutMs: number;
  /** A directory of the host in which the command's writes are kept; every other write is lost. */
  readonly results?: string;
  readonly cpus?: number;
  readonly memoryMiB?: number;
  /** Where output goes; this process's own by default. */
  readonly stdout?: NodeJS.WritableStream;
  readonly stderr?: NodeJS.WritableStream;
  readonly signal?: AbortSignal;
}

export const CHECKOUT = join(import.meta.dirname, "../../..");

const TIMED_OUT = 124;
const DIED = 250;

/** Boots the VM, runs the command, streams its output, and returns how it ended; makes the VM's image when needed. */
export async function runInVm(run: VmRun): Promise<VmOutcome> {
  const config = readLabConfig();
  const image = await ensureVm(config);
  return boot(image, config, run);
}

/** Returns the exit status for an outcome, saying on standard error what ended a run that has no status of its own. */
export function exitStatus(outcome: VmOutcome, say: (line: string) => void = sayToStderr): number {
  switch (outcome.kind) {
    case "exited":
      if (outcome.console !== undefined) say(`kernel VM: ended by signal ${outcome.status - 128}\n${outcome.console}`);
      return outcome.status;
    case "timed-out":
      say(`kernel VM: not done after ${outcome.afterMs / 1000} s\n${outcome.console}`);
      return TIMED_OUT;
    case "died":
      say(`kernel VM: died before the command ended\n${outcome.console}`);
      return DIED;
  }
}

function sayToStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Parses the command line that this file's entry and `where-wireguard-is.ts` share. */
export function parseVmArguments(argv: readonly string[]): VmRun {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      timeout: { type: "string", default: "900" },
      results: { type: "string" },
      cpus: { type: "string", default: "2" },
      memory: { type: "string", default: "2048" },
    },
  });
  if (positionals.length === 0) throw new Error("no command given: run.ts [options] -- COMMAND [ARGUMENT...]");
  return {
    command: positionals,
    timeoutMs: Number(values.timeout) * 1000,
    cpus: Number(values.cpus),
    memoryMiB: Number(values.memory),
    ...(values.results === undefined ? {} : { results: values.results }),
  };
}

if (process.argv[1] === import.meta.filename)
  process.exitCode = exitStatus(await runInVm(parseVmArguments(process.argv.slice(2))));
