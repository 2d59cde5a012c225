/** @module Reads exported lines back: rebuilds the blocks for the verifier, and sees whether a line shows what it carries. */
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { AuditBlock } from "@spanwire/proto/audit";
import { decodeEntry } from "./entry.ts";
import { type ExportFormat, endOf, type Proof, showLine } from "./export-lines.ts";
import type { LogVerifier } from "./log-verifier.ts";
import { decodeBlock } from "./open-block.ts";

export interface ExportReader {
  /** Takes one line; `name` is what a problem with it is called by: "audit.jsonl:7". */
  line(text: string, name: string): void;
  /** Said at the end of each file. */
  end(name: string): void;
}

interface Parsed {
  readonly format: ExportFormat;
  readonly shown: object;
  readonly proof: Proof;
}

export function createExportReader(verifier: LogVerifier, meshId: string): ExportReader {
  let waiting: Uint8Array[] = [];
  return {
    line(text, name) {
      const parsed = parseLine(text);
      if (parsed === undefined) return verifier.report(`${name}: not a line of an export`);
      const { format, shown, proof } = parsed;
      const entry = decodeBase64(proof.entry);
      const block = readCheckpoint(proof);
      if (entry !== undefined) waiting.push(entry);
      const said = entry === undefined ? block && endOf(block) : decodeEntry(entry);
      if (sorted(showLine(proof, said, { format, meshId })) !== sorted(shown)) {
        verifier.report(`${name}: shows something else than the entry ${said?.sequence ?? ""} that it carries`);
      }
      if (block === undefined) return;
      verifier.take({ ...block, entries: waiting });
      waiting = [];
    },
    end(name) {
      if (waiting.length > 0) verifier.report(`${name}: its last ${waiting.length} entries have no signature`);
      waiting = [];
    },
  };
}

function readCheckpoint({ checkpoint }: Proof): AuditBlock | undefined {
  const bytes = decodeBase64(checkpoint);
  return bytes && decodeBlock(bytes);
}

function parseLine(text: string): Parsed | undefined {
  try {
    const shown = JSON.parse(text);
    const places = { ocsf: shown?.unmapped?.proof, ecs: shown?.spanwire?.proof, json: shown?.proof } as const;
    for (const format of ["ocsf", "ecs", "json"] as const) {
      const proof = places[format];
      if (typeof proof === "object" && proof !== null) return { format, shown, proof };
    }
  } catch {
    // as below
  }
  return undefined;
}

function decodeBase64(text: unknown): Uint8Array | undefined {
  try {
    return typeof text === "string" ? base64Decode(text) : undefined;
  } catch {
    return undefined;
  }
}

/** The same text for the same content, in whatever order a tool has written the fields. */
function sorted(value: object): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
