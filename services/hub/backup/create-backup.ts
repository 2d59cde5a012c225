/** @module Makes a backup of a hub that runs: its keys from its directory, its store through the API. */
import { SpanwireError } from "@spanwire/core/errors";
import type { ExportStateResponse } from "@spanwire/proto/fleet";
import { listFileSecrets, openFileSecretStore } from "../secrets/file-secret-store.ts";
import { secretsDirectory } from "../secrets/open-keys.ts";
import { writeArchive } from "./archive.ts";

export interface BackupOptions {
  /** The hub's directory, on this machine; undefined where its keys are in Vault, whose own backup holds them. */
  readonly dir: string | undefined;
  readonly meshId: string;
  /** What FleetService.ExportState gives. */
  readonly exported: AsyncIterable<ExportStateResponse>;
  readonly path: string;
  readonly nowMs: number;
}

export interface BackupMade {
  readonly secrets: number;
  readonly entries: number;
}

/** Writes the archive and says what is in it. Throws `not-found` for a directory without keys. */
export async function createBackup({ dir, meshId, exported, path, nowMs }: BackupOptions): Promise<BackupMade> {
  const secrets = dir === undefined ? {} : await readSecrets(secretsDirectory(dir));
  const entries: { bucket: string; key: string; bytes: Uint8Array }[] = [];
  for await (const { bucket, key, value } of exported) entries.push({ bucket, key, bytes: value });
  await writeArchive(path, { meshId, createdAtMs: nowMs, secrets, entries });
  return { secrets: Object.keys(secrets).length, entries: entries.length };
}

async function readSecrets(directory: string): Promise<Record<string, Uint8Array>> {
  const names = await listFileSecrets(directory).catch(() => []);
  if (names.length === 0) {
    throw new SpanwireError(
      "not-found",
      `back up: no keys in ${directory}; run it where the hub runs, with its --dir, or where they are in Vault, with --without-keys`,
    );
  }
  const store = await openFileSecretStore(directory);
  const secrets: Record<string, Uint8Array> = {};
  for (const name of names) {
    const secret = await store.read(name);
    if (secret !== undefined) secrets[name] = secret.reveal();
  }
  return secrets;
}
