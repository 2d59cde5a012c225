/** @module Userspace WireGuard, for kernels without it. */
import { rename } from "node:fs/promises";
import { join } from "node:path";

import { cached } from "./cached.ts";
import { type LabConfig, readLabConfig } from "./config.ts";
import { goInstall } from "./go-install.ts";
import { ensurePrograms, findProgram } from "./programs.ts";
import { type Progress, progressToStderr } from "./progress.ts";
import { Unavailable } from "./unavailable.ts";

export const WIREGUARD_GO_VERSION = "v0.0.0-20260522210424-ecfc5a8d5446";

/**
 * Returns the path of wireguard-go, building it first when it is not there.
 *
 * Without Go it falls back to Debian's package, which is from 2022 and slower, and says so. Throws `Unavailable` when
 * there is neither.
 */
export async function wireguardGoPath(
  config: LabConfig = readLabConfig(),
  progress: Progress = progressToStderr(),
): Promise<string> {
  const component = { name: "wireguard-go", recipe: { version: WIREGUARD_GO_VERSION }, build };
  try {
    return join(await cached(component, config, progress), "wireguard-go");
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    progress(`${error.message}: using Debian's wireguard-go of 2022`);
    await ensurePrograms(["wireguard-go"], config, progress);
    const path = await findProgram("wireguard-go");
    if (path === undefined) throw error;
    return path;
  }
}

async function build(directory: string, progress: Progress): Promise<void> {
  progress(`wireguard-go ${WIREGUARD_GO_VERSION}: go install`);
  const refusal = await goInstall(`golang.zx2c4.com/wireguard@${WIREGUARD_GO_VERSION}`, directory);
  if (refusal !== undefined) throw new Unavailable(`wireguard-go ${WIREGUARD_GO_VERSION}: ${refusal}`);
  await rename(join(directory, "wireguard"), join(directory, "wireguard-go"));
}
