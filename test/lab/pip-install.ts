import { execute, lastLines } from "./execute.ts";

const OPTIONS = ["--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", "--root-user-action=ignore"];

/** Unpacks a wheel into `directory`; returns why it could not, or undefined. */
export async function pipInstall(requirement: string, directory: string): Promise<string | undefined> {
  for (const python of ["python3", "python"]) {
    const argv = [python, "-m", "pip", "install", ...OPTIONS, "--target", directory, requirement];
    const { status, stderr } = await execute(argv);
    if (status === 0) return undefined;
    if (status !== 127) return `pip: ${lastLines(stderr, 1)}`;
  }
  return "no Python";
}
