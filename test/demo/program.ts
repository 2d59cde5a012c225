/** @module A long-running program of the demo, inside the namespaces of its machine, its output in a file. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { dieWithParent } from "../lab/die-with-parent.ts";

export interface ProgramSpec {
  /** Put before argv: how to enter the machine. */
  readonly enter: readonly string[];
  readonly argv: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it goes on when the demo ends. */
  readonly outlives?: boolean;
}

export interface Program {
  readonly pid: number;
  readonly logFile: string;
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Undefined while it runs. */
  exitCode(): number | undefined;
}

export async function startProgram({ enter, argv, logFile, env, outlives }: ProgramSpec): Promise<Program> {
  const log = openSync(logFile, "a");
  const whole = [...enter, ...argv];
  const [file = "", ...args] = outlives === true ? whole : await dieWithParent(whole);
  const child = spawn(file, args, {
    stdio: ["ignore", log, log],
    env: { ...process.env, ...env },
    detached: outlives ?? false,
  });
  const ended = once(child, "exit");
  await once(child, "spawn");
  return {
    pid: child.pid ?? 0,
    logFile,
    exitCode: () => (child.exitCode === null && child.signalCode === null ? undefined : (child.exitCode ?? 1)),
    async end(signal) {
      child.kill(signal);
      await ended;
    },
  };
}
