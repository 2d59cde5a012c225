/** @module Reads the messages that testdata/capture.sh recorded. Tests only. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The bytes of each line of the block that begins with "$ COMMAND". */
export function recorded(file: "requests.txt" | "answers.txt", command: string): Buffer[] {
  const text = readFileSync(join(import.meta.dirname, "testdata", file), "utf8");
  const block = text.split(/^\$ /m).find((each) => each.startsWith(`${command}\n`));
  if (block === undefined) throw new Error(`${file} has no "${command}"`);
  return [...block.matchAll(/^[<>] ([0-9a-f]+)$/gm)].map(([, hex = ""]) => Buffer.from(hex, "hex"));
}
