/** @module Numbers of audit entries as people type them. */
import { InvalidArgumentError } from "commander";

/** For a command-line option. */
export function parseSequence(text: string): bigint {
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new InvalidArgumentError("the number of an entry");
}
