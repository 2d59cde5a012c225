/**
 * @module The lineage: a number that grows whenever the map's history is not the one that readers followed.
 *
 * It is signed as part of every head. Kept in the registry; a new one is at least the time in milliseconds, so that it
 * also grows where the registry was lost together with the map.
 */
import { SpanwireError } from "@spanwire/core/errors";
import type { RegistryBucket } from "./port.ts";

const LINEAGE_KEY = "map.lineage";

export interface LineageOptions {
  /** Which store the map is in now, as `MapStatus.created` says. */
  readonly created: string;
  /** The lineage that this hub followed so far; 0 at its start. */
  readonly known: bigint;
  /** Whether this hub saw that the history changed within the same store. */
  readonly isHistoryChanged: boolean;
  readonly nowMs: number;
}

/** Gives the lineage of the store as it is now; makes it grow where it must and nobody has done so yet. */
export async function ensureLineage(registry: RegistryBucket, options: LineageOptions): Promise<bigint> {
  for (;;) {
    const entry = await registry.get(LINEAGE_KEY);
    const stored = entry === undefined ? undefined : parse(entry.bytes);
    if (stored !== undefined && !mustGrow(stored, options)) return stored.lineage;
    const lineage = nextLineage(stored?.lineage ?? 0n, options);
    const bytes = new TextEncoder().encode(JSON.stringify({ lineage: `${lineage}`, created: options.created }));
    const written = await (entry === undefined
      ? registry.create(LINEAGE_KEY, bytes)
      : registry.update(LINEAGE_KEY, bytes, { expectedRevision: entry.revision }));
    if (written.ok) return lineage;
  }
}

interface StoredLineage {
  readonly lineage: bigint;
  readonly created: string;
}

function mustGrow(stored: StoredLineage, { created, known, isHistoryChanged }: LineageOptions): boolean {
  if (stored.created !== created || stored.lineage < known) return true;
  // A greater one than we knew: another hub saw the same and was faster.
  return isHistoryChanged && stored.lineage === known;
}

function nextLineage(stored: bigint, { known, nowMs }: LineageOptions): bigint {
  return [stored + 1n, known + 1n, BigInt(nowMs)].reduce((a, b) => (a > b ? a : b));
}

function parse(bytes: Uint8Array): StoredLineage {
  try {
    const { lineage, created } = JSON.parse(new TextDecoder().decode(bytes));
    return { lineage: BigInt(lineage), created: String(created) };
  } catch (cause) {
    throw new SpanwireError("corrupt", `registry key "${LINEAGE_KEY}": not a lineage`, { cause });
  }
}
