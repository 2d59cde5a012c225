/**
 * @module The audit log as lines of JSON that others can read and that can still be verified: each carries the entry as
 * it was signed, and the last of a block the signature.
 */
import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { type AuditBlock, AuditBlockSchema, type AuditEntry, AuditEntrySchema } from "@spanwire/proto/audit";
import { toEcs } from "./ecs.ts";
import { decodeEntry } from "./entry.ts";
import { toOcsf } from "./ocsf.ts";
import { openUnverified } from "./open-block.ts";

export const EXPORT_FORMATS = ["ocsf", "ecs", "json"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** What a line carries besides what it shows; base64. */
export interface Proof {
  /** The entry's bytes; absent in the line that ends an export. */
  readonly entry?: string;
  /** The block without its entries, with the last of them. */
  readonly checkpoint?: string;
}

/** One line for each entry; for a block without any, the signed end, one line that says so. */
export function exportLines(block: AuditBlock, format: ExportFormat, meshId: string): readonly string[] {
  const checkpoint = base64Encode(toBinary(AuditBlockSchema, { ...block, entries: [] }));
  if (block.entries.length === 0) return [JSON.stringify(showLine({ checkpoint }, endOf(block), { format, meshId }))];
  return block.entries.map((bytes, at) => {
    const isLast = at === block.entries.length - 1;
    const proof: Proof = { entry: base64Encode(bytes), ...(isLast ? { checkpoint } : {}) };
    return JSON.stringify(showLine(proof, decodeEntry(bytes), { format, meshId }));
  });
}

/** What the line of this entry shows. */
export function showLine(
  proof: Proof,
  entry: AuditEntry = create(AuditEntrySchema, { action: "unreadable" }),
  { format, meshId }: { readonly format: ExportFormat; readonly meshId: string },
): object {
  switch (format) {
    case "ocsf":
      return toOcsf(entry, meshId, proof);
    case "ecs":
      return toEcs(entry, meshId, proof);
    case "json":
      return { ...(toJson(AuditEntrySchema, entry) as object), proof };
    default:
      return format satisfies never;
  }
}

/** The end of a log, as if it were an entry. */
export function endOf(block: AuditBlock): AuditEntry {
  const { sequence, time } = openUnverified(block) ?? { sequence: 0n, time: undefined };
  const message = `the log went up to entry ${sequence} when it was asked for`;
  return create(AuditEntrySchema, { action: "audit.end", sequence, message, ...(time && { time }) });
}
