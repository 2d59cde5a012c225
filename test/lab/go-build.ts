/** @module Go programs that cannot be had by `go install`: built from a go.mod and go.sum of ours, so with known checksums. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execute, lastLines } from "./execute.ts";
import type { Progress } from "./progress.ts";
import { Unavailable } from "./unavailable.ts";

export interface GoProgram {
  /** The folder in `test/lab/go` that holds go.mod and go.sum. */
  readonly module: string;
  readonly package: string;
  readonly ldflags: string;
  /** What the program is called. */
  readonly name: string;
}

const STILL_MS = 30_000;

/** Everything that decides what is built. */
export async function recipeOf(programs: readonly GoProgram[]): Promise<unknown> {
  return Promise.all(
    programs.map(async (program) => {
      const files = ["go.mod", "go.sum"].map((file) => readFile(join(folderOf(program), file), "utf8"));
      return { ...program, files: await Promise.all(files) };
    }),
  );
}

export interface GoBuildOptions {
  /** The toolchain's path. */
  readonly go: string;
  readonly directory: string;
  readonly progress: Progress;
}

/** Builds a program into `directory`; throws `Unavailable` when it cannot. */
export async function goBuild(program: GoProgram, { go, directory, progress }: GoBuildOptions): Promise<void> {
  const { name, ldflags, package: path } = program;
  const flags = "-mod=readonly -trimpath -buildvcs=false";
  const env = { CGO_ENABLED: "0", GOFLAGS: flags, GOWORK: "off", GOTOOLCHAIN: "local" };
  const still = setInterval(() => progress(`${name}: still being built`), STILL_MS);
  try {
    const argv = [go, "build", "-ldflags", ldflags, "-o", join(directory, name), path];
    const { status, stderr } = await execute(argv, { cwd: folderOf(program), env });
    if (status !== 0) throw new Unavailable(`${name}: go build ${path}: ${lastLines(stderr, 1)}`);
  } finally {
    clearInterval(still);
  }
}

function folderOf({ module }: GoProgram): string {
  return join(import.meta.dirname, "go", module);
}
