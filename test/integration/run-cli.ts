/** @module The command line as `main.ts` wires it, in this process: starting one takes longer than most calls. */
import { openFleet } from "@spanwire/cli/fleet";
import { runProgram } from "@spanwire/cli/run";
import { readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";

export interface RunCliOptions {
  /** Path of the operator's context file. */
  readonly context: string;
  readonly signal?: AbortSignal;
  /** Gets all of standard output so far, each time that it grows. */
  readonly onOut?: (stdout: string) => void;
}

export interface CliOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runCli(args: readonly string[], options: RunCliOptions): Promise<CliOutcome> {
  const { context: own, signal = new AbortController().signal, onOut } = options;
  using open = new DisposableStack();
  const context = (path = own) => readOperatorContext(path);
  let [stdout, stderr] = ["", ""];
  const code = await runProgram(args, {
    out: (text) => {
      stdout += text;
      onOut?.(stdout);
    },
    note: (text) => {
      stderr += text;
    },
    now: Date.now,
    signal,
    context,
    fleet: async (path) => open.use(openFleet(await context(path))).client,
  });
  return { code, stdout, stderr };
}
