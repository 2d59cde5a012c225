/** @module A configuration file, with the line of each value for error messages. */
import { readFile } from "node:fs/promises";
import { SpanwireError } from "@spanwire/core/errors";
import { LineCounter, parseDocument } from "yaml";

export interface YamlFile {
  readonly value: Record<string, unknown>;
  /** `hub.yaml:12`, the line being that of the value at the path. */
  locate(path: readonly PropertyKey[]): string;
}

/** Reads the file; throws `invalid` when it cannot be read or is no mapping of YAML 1.2 without doubled keys. */
export async function readYamlFile(file: string): Promise<YamlFile> {
  const lines = new LineCounter();
  // Pretty errors would quote the line, which may hold a secret.
  const document = parseDocument(await read(file), { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) throw invalid(`${file}:${lines.linePos(error.pos[0]).line}: ${error.message}`);
  const value: unknown = document.toJS() ?? {};
  if (!isMapping(value)) throw invalid(`${file}: must be a mapping of settings`);
  return {
    value,
    locate(path) {
      const node = document.getIn(path, true);
      const start = hasRange(node) ? node.range[0] : undefined;
      return start === undefined ? file : `${file}:${lines.linePos(start).line}`;
    },
  };
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw invalid(`${file}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

function invalid(message: string, options?: ErrorOptions): SpanwireError {
  return new SpanwireError("invalid", `config ${message}`, { ...options, reason: "CONFIG_INVALID" });
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasRange(node: unknown): node is { readonly range: readonly number[] } {
  return isMapping(node) && Array.isArray(node["range"]);
}
