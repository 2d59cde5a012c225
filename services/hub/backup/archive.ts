/** @module A backup as one file: the hub's private keys, and every record and setting of its store. */
import { open, readFile } from "node:fs/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { SpanwireError } from "@spanwire/core/errors";
import { frameState, unframeState } from "@spanwire/runtime/files/state-frame";
import { z } from "zod";

export interface Archive {
  readonly meshId: string;
  readonly createdAtMs: number;
  /** By name, as the secret store has them. */
  readonly secrets: Readonly<Record<string, Uint8Array>>;
  readonly entries: readonly ArchiveEntry[];
}

export interface ArchiveEntry {
  /** "sw-map" or "sw-registry". */
  readonly bucket: string;
  readonly key: string;
  readonly bytes: Uint8Array;
}

const FORMAT = 1;
const OWNER_ONLY = 0o600;

const bytes = z.codec(z.base64(), z.instanceof(Uint8Array), {
  decode: (text) => new Uint8Array(Buffer.from(text, "base64")),
  encode: (value) => Buffer.from(value).toString("base64"),
});
const schema = z.strictObject({
  format: z.literal(FORMAT),
  meshId: z.string(),
  createdAtMs: z.number(),
  secrets: z.record(z.string(), bytes),
  entries: z.array(z.strictObject({ bucket: z.string(), key: z.string(), bytes })),
});

/** Writes a new file, 0600: whoever has it is the mesh. Throws `conflict` rather than overwrite one. */
export async function writeArchive(path: string, archive: Archive): Promise<void> {
  const text = JSON.stringify(z.encode(schema, { format: FORMAT, ...archive } as z.output<typeof schema>));
  try {
    await using file = await open(path, "wx", OWNER_ONLY);
    await file.writeFile(frameState(gzipSync(text)));
    await file.sync();
  } catch (cause) {
    const isThere = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    if (!isThere) throw cause;
    throw new SpanwireError("conflict", `backup to ${path}: the file exists; name another one`, { cause });
  }
}

/** Throws `corrupt` for a file that was cut or changed, or is no backup. */
export async function readArchive(path: string): Promise<Archive> {
  const content = unframeState(await readFile(path));
  if (content === undefined) throw new SpanwireError("corrupt", `backup ${path}: it was cut or changed, or is none`);
  try {
    const { format: _, ...archive } = schema.parse(JSON.parse(gunzipSync(content).toString()));
    return archive;
  } catch (cause) {
    throw new SpanwireError("corrupt", `backup ${path}: not one that this version can read`, { cause });
  }
}
