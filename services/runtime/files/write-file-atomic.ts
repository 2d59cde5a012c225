/** @module Files that are either the old or the new content, whatever happens in between. */
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

const PRIVATE_MODE = 0o600;

export interface WriteOptions {
  readonly mode?: number;
  /** Path that the present file gets, which must exist then. A crash in between leaves it there, and none at `path`. */
  readonly keepAs?: string | undefined;
}

/**
 * Replaces the file's content in one step and returns when it will survive a power loss. A reader sees the old or the
 * new content, never a part. Only one writer per path. On failure (disk full, read-only) the old content stays.
 */
export async function writeFileAtomic(path: string, content: Uint8Array, options: WriteOptions = {}): Promise<void> {
  const { mode = PRIVATE_MODE, keepAs } = options;
  const temporary = `${path}.new`;
  try {
    await rm(temporary, { force: true }); // left by a crash, perhaps with another mode
    await writeAndSync(temporary, content, mode);
    if (keepAs !== undefined) await rename(path, keepAs);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {}); // the first error is the one to report
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Without the sync, a power loss after the rename leaves an empty file under the final name. */
async function writeAndSync(path: string, content: Uint8Array, mode: number): Promise<void> {
  await using file = await open(path, "wx", mode);
  await file.writeFile(content);
  await file.sync();
}

/** Makes the renames survive a power loss, too. */
async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, "r");
  await directory.sync();
}
