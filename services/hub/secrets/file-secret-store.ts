/**
 * @module Secrets as files of one directory: 0600 in 0700, each with a checksum.
 *
 * A name's first version is the file of that name, its next ones are `<name>.2`, `<name>.3`: the highest one counts. A new
 * version is a link, which fails where something is there already: that is the compare-and-set, also between processes.
 * Files of former versions stay, emptied, so that nobody takes their places.
 */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { frameState, unframeState } from "@spanwire/runtime/files/state-frame";
import { requireSecretName, type SecretStore } from "./port.ts";

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS = 0o077;

/** Opens the directory, making it if it is missing; refuses one that others may read. */
export async function openFileSecretStore(directory: string): Promise<SecretStore> {
  await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  const { mode } = await stat(directory);
  if ((mode & OTHERS) !== 0) {
    const message = `secrets in ${directory}: others may open the directory: run chmod 0700 ${directory}`;
    throw new SpanwireError("denied", message, { reason: "SECRETS_EXPOSED" });
  }
  return {
    read: async (name) => (await readNewest(directory, name))?.secret,
    async create(name, secret) {
      requireSecretName(name);
      return putVersion(directory, { name, version: 1, secret });
    },
    async replace(name, { present, next }) {
      const found = await readNewest(directory, name);
      if (found?.secret.equals(present) !== true) return false;
      const version = found.version + 1;
      if (!(await putVersion(directory, { name, version, secret: next }))) return false;
      await emptyFormer(directory, { name, version });
      return true;
    },
  };
}

/** The names that hold something, for a backup. */
export async function listFileSecrets(directory: string): Promise<readonly string[]> {
  const names = (await readdir(directory)).filter((file) => !file.includes("."));
  return names.sort();
}

interface Version {
  readonly name: string;
  readonly version: number;
}

async function readNewest(
  directory: string,
  name: string,
): Promise<(Version & { readonly secret: Secret }) | undefined> {
  requireSecretName(name);
  const doing = `read secret "${name}"`;
  const version = Math.max(0, ...(await listVersions(directory, name)));
  if (version === 0) return undefined;
  const path = pathOf(directory, { name, version });
  const frame = await readFile(path).catch((cause: unknown) => {
    throw unavailable(doing, cause);
  });
  // Emptied since its version was looked up: there is a newer one.
  if (frame.length === 0 && Math.max(...(await listVersions(directory, name))) > version) {
    return readNewest(directory, name);
  }
  const bytes = unframeState(frame);
  if (bytes === undefined) {
    const message = `secret "${name}": ${path} is damaged: restore it from a backup; nothing may take its place`;
    throw new SpanwireError("corrupt", message, { reason: "SECRET_CORRUPT" });
  }
  return { name, version, secret: new Secret(new Uint8Array(bytes)) };
}

async function listVersions(directory: string, name: string): Promise<number[]> {
  const files = await readdir(directory).catch((cause: unknown) => {
    throw unavailable(`read secret "${name}"`, cause);
  });
  return files.flatMap((file) => {
    if (file === name) return [1];
    const digits = file.startsWith(`${name}.`) ? file.slice(name.length + 1) : "";
    return /^[1-9]\d*$/.test(digits) ? [Number(digits)] : [];
  });
}

function pathOf(directory: string, { name, version }: Version): string {
  return join(directory, version === 1 ? name : `${name}.${version}`);
}

/** False where somebody was faster. */
async function putVersion(directory: string, wanted: Version & { readonly secret: Secret }): Promise<boolean> {
  const path = pathOf(directory, wanted);
  const temporary = `${path}.${randomUUID()}.new`; // its own for each caller: two may write at once
  try {
    await writeAndSync(temporary, frameState(wanted.secret.reveal()));
    // A link, unlike a rename, fails where something is there already.
    await link(temporary, path);
    await syncDirectory(path);
    return true;
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false;
    throw unavailable(`store secret "${wanted.name}"`, cause);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** The old key is to be gone, its place is not. What a crash leaves, the next replacement empties. */
async function emptyFormer(directory: string, { name, version }: Version): Promise<void> {
  for (let former = version - 1; former > 0; former--) {
    const path = pathOf(directory, { name, version: former });
    const temporary = `${path}.${randomUUID()}.new`;
    await writeAndSync(temporary, new Uint8Array());
    await rename(temporary, path);
  }
  await syncDirectory(pathOf(directory, { name, version }));
}

async function writeAndSync(path: string, content: Uint8Array): Promise<void> {
  await using file = await open(path, "wx", FILE_MODE);
  await file.writeFile(content);
  await file.sync();
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(join(path, ".."), "r");
  await directory.sync();
}

function unavailable(doing: string, cause: unknown): SpanwireError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SpanwireError("unavailable", `${doing}: ${why}`, { cause, reason: "SECRETS_UNAVAILABLE" });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
