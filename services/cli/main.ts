/** @module `spanwire`: wires the command line to this process. */
import { homedir } from "node:os";
import { join } from "node:path";
import { readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { openFleet } from "./fleet.ts";
import { runProgram } from "./run.ts";

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => interrupted.abort(new Error(`stopped by ${signal}`)));
}
process.stdout.on("error", () => process.exit(0)); // the reader of a pipe has enough

const context = (path = join(homedir(), ".spanwire/context.json")) => readOperatorContext(path);
await using open = new AsyncDisposableStack();
process.exitCode = await runProgram(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  note: (text) => process.stderr.write(text),
  now: Date.now,
  signal: interrupted.signal,
  context,
  fleet: async (path) => open.use(openFleet(await context(path))).client,
});
