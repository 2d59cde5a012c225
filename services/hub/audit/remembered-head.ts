/**
 * @module How far the audit log has gone, kept apart from the log: a hub that starts sees by it that the log's store has
 * lost its end.
 */
import type { Head } from "@spanwire/core/audit/chain";
import { SpanwireError } from "@spanwire/core/errors";
import { z } from "zod";
import type { RegistryBucket } from "../state/port.ts";

const KEY = "audit.head";
const schema = z.strictObject({ sequence: z.string().regex(/^\d+$/), hash: z.hex() });

export async function readHead(registry: RegistryBucket): Promise<Head | undefined> {
  return (await read(registry))?.head;
}

/** Writes a head that goes further than the one there, or any with `force`. Another hub that is faster has done it. */
export async function writeHead(
  registry: RegistryBucket,
  { sequence, hash }: Head,
  { force = false }: { readonly force?: boolean } = {},
): Promise<void> {
  const stored = await read(registry);
  if (!force && stored !== undefined && stored.head.sequence >= sequence) return;
  const bytes = Buffer.from(JSON.stringify({ sequence: `${sequence}`, hash: Buffer.from(hash).toString("hex") }));
  if (stored === undefined) await registry.create(KEY, bytes);
  else await registry.update(KEY, bytes, { expectedRevision: stored.revision });
}

async function read(registry: RegistryBucket): Promise<{ head: Head; revision: number } | undefined> {
  const entry = await registry.get(KEY);
  if (entry === undefined) return undefined;
  try {
    const { sequence, hash } = schema.parse(JSON.parse(Buffer.from(entry.bytes).toString()));
    const head = { sequence: BigInt(sequence), hash: new Uint8Array(Buffer.from(hash, "hex")) };
    return { head, revision: entry.revision };
  } catch (cause) {
    throw new SpanwireError("corrupt", `registry key "${KEY}": not a place in the audit log`, { cause });
  }
}
