/** @module One private key in one file of the state directory: made once, never again. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { readState, writeState } from "@spanwire/runtime/files/state-file";

const RAW_KEY_BYTES = 32;

/** Reads the key; undefined when there never was one. Throws `corrupt` rather than take damage for a first start. */
export async function findKey(path: string): Promise<Secret | undefined> {
  const state = await readState(path);
  if (state === undefined) return undefined;
  if (state.bytes.length !== RAW_KEY_BYTES) {
    throw new SpanwireError(
      "corrupt",
      `read key ${path}: ${state.bytes.length} bytes instead of ${RAW_KEY_BYTES}: restore it from a backup, or remove the state directory and join again with a new token`,
    );
  }
  return new Secret(new Uint8Array(state.bytes));
}

/**
 * Reads the key, or makes and stores it when there never was one; mode 0600, on disk before it is returned. A key that
 * exists, damaged or not, is never replaced: a new one would be a new identity.
 */
export async function ensureKey(path: string, generate: () => Secret): Promise<Secret> {
  const present = await findKey(path);
  if (present !== undefined) return present;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const key = generate();
  await writeState(path, key.reveal());
  return key;
}
