import { mkdir } from "node:fs/promises";
import { executeOrThrow } from "./execute.ts";
import { CHECKOUT } from "./vm/run.ts";

/** Makes a folder that holds what a clone would, with what is not committed yet: no packages, nothing built. */
export async function copyCheckout(to: string): Promise<void> {
  await mkdir(to);
  const list = "git ls-files -z --cached --others --exclude-standard";
  await executeOrThrow(["sh", "-c", `${list} | tar -c --null -T - | tar -x -C "$1"`, "sh", to], { cwd: CHECKOUT });
}
