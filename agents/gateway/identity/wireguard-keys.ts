/** @module The gateway's WireGuard keys: one for each epoch, shared by the lanes of that epoch's plane. */
import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { planeOfEpoch } from "@spanwire/core/desired/lane";
import type { Plane } from "@spanwire/core/desired/state";
import { SpanwireError } from "@spanwire/core/errors";
import { generateWireGuardKey, type WireGuardKey, wireGuardPublicKey } from "@spanwire/runtime/crypto/wireguard-key";
import { ensureKey } from "./key-file.ts";

export interface EpochKey extends WireGuardKey {
  readonly epoch: bigint;
  readonly plane: Plane;
}

/** Loads the key of an epoch, making it when it was never made. */
export async function ensureEpochKey(stateDirectory: string, epoch: bigint): Promise<EpochKey> {
  const path = join(stateDirectory, fileOf(epoch));
  const privateKey = await ensureKey(path, () => generateWireGuardKey().privateKey);
  return { epoch, plane: planeOfEpoch(epoch), privateKey, publicKey: wireGuardPublicKey(privateKey) };
}

/** Loads every key that there is, ascending by epoch; makes none. */
export async function listEpochKeys(stateDirectory: string): Promise<readonly EpochKey[]> {
  const epochs = (await namesIn(stateDirectory)).flatMap((name) => {
    const epoch = /^wireguard-(\d+)\.key$/.exec(name)?.[1];
    return epoch === undefined ? [] : [BigInt(epoch)];
  });
  const ascending = epochs.sort((a, b) => (a < b ? -1 : 1));
  return await Promise.all(ascending.map((epoch) => ensureEpochKey(stateDirectory, epoch)));
}

/**
 * Removes the key of an epoch, with whatever a crash has left of it. It is overwritten first: as far as the file system
 * writes in place, nothing of it stays on the medium. Throws `unavailable` where the disk does not let it.
 */
export async function destroyEpochKey(stateDirectory: string, epoch: bigint): Promise<void> {
  try {
    const names = (await namesIn(stateDirectory)).filter((name) => name.startsWith(fileOf(epoch)));
    for (const name of names) {
      const path = join(stateDirectory, name);
      await overwrite(path);
      await rm(path);
    }
    await using directory = await open(stateDirectory, "r");
    await directory.sync();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SpanwireError("unavailable", `destroy the key of epoch ${epoch} in ${stateDirectory}: ${why}`, { cause });
  }
}

async function overwrite(path: string): Promise<void> {
  await using file = await open(path, "r+");
  const { size } = await file.stat();
  await file.write(new Uint8Array(size), 0, size, 0);
  await file.sync();
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return []; // before the first start
    throw error;
  });
}

function fileOf(epoch: bigint): string {
  return `wireguard-${epoch}.key`;
}
