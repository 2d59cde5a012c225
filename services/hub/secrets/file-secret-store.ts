/** @module Secrets as files of one directory: 0600 in 0700, each with a checksum. */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, readFile, rm, stat } from "node:fs/promises";
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
    read: (name) => readSecret(pathOf(directory, name), name),
    create: (name, secret) => createSecret(pathOf(directory, name), name, secret),
  };
}

function pathOf(directory: string, name: string): string {
  requireSecretName(name);
  return join(directory, name);
}

async function readSecret(path: string, name: string): Promise<Secret | undefined> {
  const frame = await readFile(path).catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw unavailable(`read secret "${name}"`, cause);
  });
  if (frame === undefined) return undefined;
  const bytes = unframeState(frame);
  if (bytes === undefined) {
    const message = `secret "${name}": ${path} is damaged: restore it from a backup; nothing may take its place`;
    throw new SpanwireError("corrupt", message, { reason: "SECRET_CORRUPT" });
  }
  return new Secret(new Uint8Array(bytes));
}

async function createSecret(path: string, name: string, secret: Secret): Promise<boolean> {
  const temporary = `${path}.${randomUUID()}.new`; // its own for each caller: two may create at once
  try {
    await writeAndSync(temporary, frameState(secret.reveal()));
    // A link, unlike a rename, fails where something is there already.
    await link(temporary, path);
    await syncDirectory(path);
    return true;
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false;
    throw unavailable(`store secret "${name}"`, cause);
  } finally {
    await rm(temporary, { force: true });
  }
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
