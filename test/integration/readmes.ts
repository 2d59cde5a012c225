/** @module The READMEs of this checkout, and the commands that they show. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { executeOrThrow } from "../lab/execute.ts";
import { CHECKOUT } from "../lab/vm/run.ts";
import { shellBlocks } from "./shell-blocks.ts";

export interface Readme {
  readonly path: string;
  readonly text: string;
}

/** Paths of all files that are not ignored. */
export async function listFiles(): Promise<readonly string[]> {
  const list = ["git", "ls-files", "--cached", "--others", "--exclude-standard"];
  return (await executeOrThrow(list, { cwd: CHECKOUT })).trim().split("\n");
}

/** Those of this name, in all folders. */
export async function readDocuments(name: "README.md" | "SECURITY.md"): Promise<readonly Readme[]> {
  const paths = (await listFiles()).filter((path) => path.endsWith(name));
  return Promise.all(paths.map(async (path) => ({ path, text: await readFile(join(CHECKOUT, path), "utf8") })));
}

/** Lines of shell blocks, except of those that name a machine and are run as they stand, and code that begins like a command. */
export function commandsIn({ text }: Readme): readonly string[] {
  const lines = shellBlocks(text)
    .filter((block) => !block.startsWith("# on "))
    .flatMap((block) => block.split("\n"))
    .map((line) => line.replace(/ +#.*$/, ""))
    .filter((line) => line !== "" && !line.startsWith("#"));
  return [...lines, ...codeIn(text).filter((code) => COMMAND.test(code))];
}

/** The command of the root's README that begins so, for a test to run; throws where it shows none. */
export async function shownCommand(beginning: string): Promise<string> {
  const text = await readFile(join(CHECKOUT, "README.md"), "utf8");
  const found = commandsIn({ path: "README.md", text }).find((command) => command.startsWith(beginning));
  if (found === undefined) throw new Error(`README.md shows no command that begins with "${beginning}"`);
  return found;
}

/** What stands between backquotes, outside of blocks. */
export function codeIn(text: string): readonly string[] {
  return [...text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/`([^`]+)`/g)].map(([, code = ""]) =>
    code.replaceAll("\n", " "),
  );
}

const COMMAND =
  /^(npm|npx|node|pip|buf|vitest|spanwire) [a-z]|^SPANWIRE_\w+=\S+ [a-z]|^(deploy\/systemd\/)?(install|upgrade|uninstall)\.sh/;
