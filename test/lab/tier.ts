/** @module What it means that a tier of tests cannot run on this machine. */
import { type LabConfig, readLabConfig } from "./config.ts";
import { Unavailable } from "./unavailable.ts";

export type TierResult<T> =
  | { readonly kind: "ran"; readonly value: T }
  | { readonly kind: "skipped"; readonly reason: string };

/**
 * Runs one tier; when the machine lacks what it needs (`Unavailable`), it is skipped with a printed reason, or fails
 * where CI=true: a machine that is meant to check everything must not pass by checking less.
 */
export async function runTier<T>(
  name: string,
  run: () => Promise<T>,
  config: Pick<LabConfig, "ci"> = readLabConfig(),
  say: (line: string) => void = (line) => void process.stderr.write(`${line}\n`),
): Promise<TierResult<T>> {
  try {
    return { kind: "ran", value: await run() };
  } catch (error) {
    if (!(error instanceof Unavailable) || config.ci) throw error;
    say(`SKIPPED ${name}: ${error.message}`);
    return { kind: "skipped", reason: error.message };
  }
}
