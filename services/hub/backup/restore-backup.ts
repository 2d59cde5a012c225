/**
 * @module Restores a backup into an empty directory and the NATS that goes with it. The hub must not run.
 *
 * What is newer in the store stays: records have an order, and a restore only adds to it. So it may be repeated after a
 * crash, and agents that hold higher records than the backup hand them back.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { compareOrders, type Order } from "@spanwire/core/records/order";
import { MAP_BUCKET, REGISTRY_BUCKET } from "@spanwire/core/subjects";
import { PayloadSchema, RecordSchema } from "@spanwire/proto/record";
import { type OpenOptions, openStore } from "../open-store.ts";
import { listFileSecrets } from "../secrets/file-secret-store.ts";
import { openKeys, secretsDirectory } from "../secrets/open-keys.ts";
import type { Entry, StateStore } from "../state/port.ts";
import { type Archive, type ArchiveEntry, readArchive } from "./archive.ts";

export interface RestoreOptions extends OpenOptions {
  /** Of the archive. */
  readonly path: string;
}

export interface Restored {
  readonly meshId: string;
  readonly createdAtMs: number;
  /** Entries written; the others were there already, or newer. */
  readonly written: number;
}

/** Throws `conflict` (`NOT_EMPTY`) for a directory that has the keys of another mesh. */
export async function restoreBackup({ path, ...options }: RestoreOptions): Promise<Restored> {
  const archive = await readArchive(path);
  requireSameHome(options.config, archive);
  if (options.config.secrets.type === "file") await restoreSecrets(options, archive);
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const opened = await openStore({ ...options, signal });
  try {
    let written = 0;
    for (const entry of archive.entries) if (await restoreEntry(opened.store, entry)) written += 1;
    return { meshId: archive.meshId, createdAtMs: archive.createdAtMs, written };
  } finally {
    ending.abort();
    await opened.done;
  }
}

/** With other keys than it was made with, the store would be that of another mesh. */
function requireSameHome({ secrets: { type } }: OpenOptions["config"], { meshId, secrets }: Archive): void {
  const hasKeys = Object.keys(secrets).length > 0;
  if (hasKeys === (type === "file")) return;
  const what = hasKeys
    ? "the backup holds the keys, and secrets.type is vault: restore it with files"
    : "the backup holds no keys: they are in Vault; say where with --config";
  throw new SpanwireError("invalid", `restore mesh "${meshId}": ${what}`, { reason: "KEYS_ELSEWHERE" });
}

async function restoreSecrets(options: OpenOptions, { secrets, meshId }: Archive): Promise<void> {
  const { config } = options;
  const { store } = await openKeys(config, options);
  const directory = secretsDirectory(config.dir);
  const others: string[] = [];
  for (const name of await listFileSecrets(directory)) {
    const present = await store.read(name);
    if (present?.equals(new Secret(secrets[name] ?? new Uint8Array())) !== true) others.push(name);
  }
  if (others.length > 0) {
    const message = `restore mesh "${meshId}" into ${config.dir}: it holds other keys (${others.join(", ")}); name an empty directory`;
    throw new SpanwireError("conflict", message, { reason: "NOT_EMPTY" });
  }
  for (const [name, bytes] of Object.entries(secrets)) await store.create(name, new Secret(bytes));
}

/** Whether it was written. */
async function restoreEntry({ map, registry }: StateStore, { bucket, key, bytes }: ArchiveEntry): Promise<boolean> {
  if (bucket === REGISTRY_BUCKET) return (await registry.create(key, bytes)).ok;
  if (bucket !== MAP_BUCKET) return false;
  for (;;) {
    const present = await map.get(key);
    if (present !== undefined && !isOlder(present, bytes)) return false;
    const written = await map.put(key, bytes, { expectedRevision: present?.revision ?? 0 });
    if (written.ok) return true;
  }
}

function isOlder(present: Entry, bytes: Uint8Array): boolean {
  return compareOrders(orderOf(present.bytes), orderOf(bytes)) < 0;
}

/** Without a look at the signature: the hub verifies all of it when it starts. */
function orderOf(bytes: Uint8Array): Order {
  try {
    return fromBinary(PayloadSchema, fromBinary(RecordSchema, bytes).payload);
  } catch {
    return { incarnation: 0n, generation: 0n };
  }
}
