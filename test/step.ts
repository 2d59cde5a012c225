/** @module Runs one command of a longer job, says what it is doing and how long it took. */
import { spawn } from "node:child_process";
import { styleText } from "node:util";

/** Colours only for a person: in a log they hide the text. */
const PLAIN_UNLESS_TTY = process.stdout.isTTY ? {} : { NO_COLOR: "1" };

export interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs the steps one after another; stops at nothing, so that one run shows all that is wrong. */
export async function runSteps(steps: readonly Step[]): Promise<{ readonly failed: readonly string[] }> {
  const failed: string[] = [];
  for (const step of steps) {
    const started = performance.now();
    const status = await runCommand(step);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const mark = status === 0 ? styleText("green", "ok") : styleText("red", `failed (${status})`);
    process.stdout.write(`${step.name}: ${mark} in ${seconds} s\n`);
    if (status !== 0) failed.push(step.name);
  }
  return { failed };
}

/** The exit status; a command that a signal ended counts as 1. */
export function runCommand({ command: [file, ...args], cwd, env }: Omit<Step, "name">): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const child = spawn(file, args, {
    cwd,
    env: { ...process.env, ...PLAIN_UNLESS_TTY, ...env },
    stdio: ["ignore", "inherit", "inherit"],
  });
  child.once("error", reject);
  child.once("exit", (code) => resolve(code ?? 1));
  return promise;
}
