/** @module Runs one command line: whatever happens becomes text for a person and an exit code for a program. */
import { startTracing } from "@spanwire/runtime/tracing/start-tracing";
import { CommanderError } from "commander";
import { EXIT, exitCodeFor } from "./exit-code.ts";
import { globalOptions } from "./global-options.ts";
import { createProgram } from "./program.ts";
import type { Session } from "./session.ts";

const HUB_AWAY = `is the hub running, and is this its context? Start one with "spanwire up", or name another with --context\n`;

/** `args` without node and script. Returns the exit code. */
export async function runProgram(args: readonly string[], session: Omit<Session, "exitWith">): Promise<number> {
  let exitCode: number = EXIT.ok;
  let askedHub = false;
  await using tracing = new AsyncDisposableStack();
  const program = createProgram({
    ...session,
    async fleet(context) {
      const { tracesEndpoint: endpoint } = globalOptions(program);
      if (!askedHub) tracing.use(await startTracing({ endpoint, serviceName: "spanwire-cli" }));
      const fleet = await session.fleet(context);
      askedHub = true;
      return fleet;
    },
    exitWith: (code) => {
      exitCode = code;
    },
  });
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
    command.exitOverride().configureOutput({ writeOut: session.out, writeErr: session.note });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (session.signal.aborted) return EXIT.failed;
    session.note(`spanwire: ${error instanceof Error ? error.message : String(error)}\n`);
    const code = exitCodeFor(error, { askedHub });
    if (code === EXIT.unreachable) session.note(HUB_AWAY);
    return code;
  }
}
