/**
 * @module The last known good map on disk, so that the agent starts without a hub and no order ever falls.
 *
 * Two files: the whole map (`map.state`, with a checksum and its previous version) and a journal of what was accepted since
 * (`map.journal`, and the one before). A change costs one short append; the whole map is written again when the journal
 * has outgrown it. Every load offers all of them: orders make repeats harmless, so no crash between any two steps can
 * lose a record (decisions/0001-journal.md).
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SpanwireError } from "@spanwire/core/errors";
import type { OpenedRecord } from "@spanwire/core/records/open";
import { readState, writeState } from "@spanwire/runtime/files/state-file";
import { Journal } from "./journal.ts";
import { frameEntries, readFrames } from "./journal-frame.ts";
import type { Entry } from "./offer-all.ts";
import type { Position } from "./position.ts";

export interface StoredPositions {
  readonly cursor: Position;
  readonly horizon: Position;
}

export interface LoadedMap {
  /** Undefined when nothing was ever saved, or nothing of it can be read: the map must be confirmed anew. */
  readonly positions: StoredPositions | undefined;
  /** May hold several of one key; the highest order is the one. */
  readonly entries: readonly Entry[];
  /** What was damaged or left out, for the log. */
  readonly remarks: readonly string[];
}

const POSITION_BYTES = 4 * 8;
/** Below this a journal is not worth writing the whole map. */
const MIN_JOURNAL_BYTES = 256 * 1024;

export class MapStore {
  readonly #path: string;
  readonly #journal: Journal;
  #mapBytes = 0;
  #failure: string | undefined;
  #failures = 0;

  /** Nothing is read or written yet. */
  constructor(stateDirectory: string) {
    this.#path = join(stateDirectory, "map.state");
    this.#journal = new Journal(join(stateDirectory, "map.journal"));
  }

  /** Why the last write failed (disk full, read-only); undefined when everything is kept. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Whether `save` should be called: the journal has outgrown the map, or something could not be kept. */
  get wantsSave(): boolean {
    return this.#failure !== undefined || this.#journal.bytes > Math.max(MIN_JOURNAL_BYTES, this.#mapBytes);
  }

  /** Throws `unavailable` where the files are there and cannot be read; damage is a remark. */
  async load(): Promise<LoadedMap> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const journal = this.#journal.load();
    const map = await loadMap(this.#path);
    this.#mapBytes = map.bytes;
    const remarks = [...map.remarks];
    if (!journal.whole) remarks.push(`${this.#journal.path}: left out what is torn or damaged`);
    return { positions: map.positions, entries: [...map.entries, ...journal.entries], remarks };
  }

  /** Keeps accepted records before they are acted on. Never throws: see `failure`. */
  append(records: readonly OpenedRecord[]): void {
    try {
      this.#journal.append(records.map(toEntry));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Resolves when what was appended will survive a power loss. Never throws: see `failure`. */
  async sync(): Promise<void> {
    await this.#journal.sync().catch((error: unknown) => this.#fail(error));
  }

  /** Writes the whole map. Never throws: see `failure`. Not to be called while it runs. */
  async save(positions: StoredPositions, records: Iterable<OpenedRecord>): Promise<void> {
    const content = encodeMap(positions, [...records].map(toEntry));
    const failuresBefore = this.#failures;
    try {
      await writeState(this.#path, content);
      this.#journal.rotate(); // only now: until the map is on disk, the journal is what holds the difference
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#mapBytes = content.length;
    // What failed to be appended while we wrote is perhaps not part of it.
    if (this.#failures === failuresBefore) this.#failure = undefined;
  }

  close(): void {
    this.#journal.close();
  }

  #fail(error: unknown): void {
    this.#failures += 1;
    this.#failure = error instanceof Error ? error.message : String(error);
  }
}

async function loadMap(path: string): Promise<LoadedMap & { readonly bytes: number }> {
  const nothing = { positions: undefined, entries: [], bytes: 0 };
  try {
    const state = await readState(path);
    if (state === undefined) return { ...nothing, remarks: [] };
    const remarks = state.source === "previous" ? [`${path}: damaged or missing, the previous version is used`] : [];
    return { ...decodeMap(state.bytes), bytes: state.bytes.length, remarks };
  } catch (error) {
    if (!(error instanceof SpanwireError) || error.code !== "corrupt") throw error;
    return { ...nothing, remarks: [error.message] };
  }
}

/** Four 64-bit numbers, then the entries framed as in the journal. */
function encodeMap({ cursor, horizon }: StoredPositions, entries: readonly Entry[]): Uint8Array {
  const head = Buffer.alloc(POSITION_BYTES);
  for (const [index, value] of [cursor.lineage, cursor.sequence, horizon.lineage, horizon.sequence].entries()) {
    head.writeBigUInt64BE(value, index * 8);
  }
  return Buffer.concat([head, frameEntries(entries)]);
}

function decodeMap(bytes: Uint8Array): Pick<LoadedMap, "positions" | "entries"> {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, POSITION_BYTES);
  const position = (at: number) => ({ lineage: head.readBigUInt64BE(at), sequence: head.readBigUInt64BE(at + 8) });
  const { entries } = readFrames(bytes.subarray(POSITION_BYTES));
  return { positions: { cursor: position(0), horizon: position(16) }, entries };
}

function toEntry({ key, bytes }: OpenedRecord): Entry {
  return { key, record: bytes };
}
