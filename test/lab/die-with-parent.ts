import { findProgram } from "./programs.ts";

/**
 * Returns `argv` such that the kernel kills the program when this process ends, however it ends: a test runner that is
 * killed leaves no servers and no virtual machines behind. Unchanged where there is no setpriv (it is Linux only).
 */
export async function dieWithParent(argv: readonly string[]): Promise<string[]> {
  const setpriv = await findProgram("setpriv");
  return setpriv === undefined ? [...argv] : [setpriv, "--pdeathsig", "SIGKILL", "--", ...argv];
}
