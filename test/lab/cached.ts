/** @module One directory for each component of the lab, made once and then only read. */
import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

import type { LabConfig } from "./config.ts";
import type { Progress } from "./progress.ts";

export interface Component {
  readonly name: string;
  /** Everything that decides what is built: another recipe is another directory. */
  readonly recipe: unknown;
  /** Fills an empty directory; throws `Unavailable` when this machine cannot. */
  readonly build: (directory: string, progress: Progress) => Promise<void>;
}

/**
 * Returns the component's directory, building it first when it is not there.
 *
 * Killed half-way it leaves nothing that counts: the directory gets its name only when it is whole. Two processes that
 * build at once both succeed, and one of the two results is used.
 */
export async function cached(component: Component, config: LabConfig, progress: Progress): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify(component.recipe)).digest("hex").slice(0, 12);
  const directory = join(config.cacheDirectory, `${component.name}-${hash}`);
  if (await exists(directory)) return directory;

  await mkdir(config.cacheDirectory, { recursive: true });
  await removeAbandoned(config.cacheDirectory, component.name);
  const partial = await mkdtemp(join(config.cacheDirectory, `.part-${component.name}-${process.pid}-`));
  try {
    await component.build(partial, progress);
    await rename(partial, directory).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return directory;
}

/** Removes what killed builds of this component left behind: 400 MB of an unpacked kernel should not pile up. */
async function removeAbandoned(cacheDirectory: string, name: string): Promise<void> {
  for (const entry of await readdir(cacheDirectory)) {
    const pid = new RegExp(`^\\.part-${name}-(\\d+)-`).exec(entry)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) {
      await rm(join(cacheDirectory, entry), { recursive: true, force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
