/**
 * @module Whether an audit log is whole: every entry as it was written, none missing, in order, up to a signed end.
 *
 * Who can sign as the hub can also write another history. Against that helps an older copy of the log: given first, it
 * must be the beginning of the newer one.
 */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { AuditBlock, AuditCheckpoint, AuditEntry } from "@spanwire/proto/audit";
import { equalBytes } from "../records/digest.ts";
import type { RecordMapOptions } from "../records/record-map.ts";
import { chainHash, EMPTY_LOG, type Head } from "./chain.ts";
import { decodeEntry, LOG_ACTIONS } from "./entry.ts";
import { createBlockOpener, type Opening } from "./open-block.ts";

export interface VerifierOptions extends RecordMapOptions {
  /** The first entry that must be there, 1 if absent; entries that the hub says it has removed need not be. */
  readonly from?: bigint;
}

export interface Verdict {
  /** What is wrong, in sentences; empty for a whole log. */
  readonly problems: readonly string[];
  /** What the log itself says is missing in it. */
  readonly notes: readonly string[];
  readonly first: bigint;
  readonly last: bigint;
  /** When the hub said that this was all; undefined where it did not. */
  readonly endedAtMs: number | undefined;
}

export class LogVerifier {
  readonly #options: VerifierOptions;
  readonly #open: (block: AuditBlock) => Opening;
  readonly #problems: string[] = [];
  readonly #notes: string[] = [];
  /** The hash after each block that was seen. */
  readonly #seen = new Map<bigint, Uint8Array>();
  #head: Head | undefined;
  #first: bigint | undefined;
  /** The first entry that the hub kept, by its own word. */
  #keptFrom = 0n;
  #endedAtMs: number | undefined;

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.#open = createBlockOpener(options);
  }

  /** Something that is wrong with how the log is written down. */
  report(problem: string): void {
    this.#problems.push(problem);
  }

  /** Takes the next block. */
  take(signed: AuditBlock): void {
    const opening = this.#open(signed);
    const { block } = opening;
    if (block === undefined) {
      this.report(`after entry ${this.#last}: a block that cannot be read`);
      return;
    }
    const entries = block.entries.map(decodeEntry);
    const { checkpoint } = block;
    const name = nameOf(entries, checkpoint);
    if (!opening.ok) this.report(`${name}: ${opening.why}`);
    const hash = chainHash(checkpoint.previous, block.entries, this.#options.sha256);
    const isWhole = equalBytes(hash, checkpoint.hash) && isInOrder(entries, checkpoint);
    if (!isWhole) this.report(`${name}: ${whatChanged(entries, checkpoint)}`);
    if (this.#isRepeated(checkpoint, name)) return;
    this.#follow(entries, checkpoint, name);
    for (const entry of entries) if (entry !== undefined) this.#read(entry);
  }

  finish(): Verdict {
    const { from = 1n } = this.#options;
    const first = this.#first ?? from;
    if (first > from && this.#keptFrom < first) {
      this.report(`entries ${from} to ${first - 1n} are missing, and the hub has not said that it removed them`);
    }
    if (this.#endedAtMs === undefined) {
      this.report(`after entry ${this.#last}: no signed end, so there may have been more entries`);
    }
    const [problems, notes] = [[...this.#problems], [...this.#notes]];
    return { problems, notes, first, last: this.#last, endedAtMs: this.#endedAtMs };
  }

  get #last(): bigint {
    return this.#head?.sequence ?? 0n;
  }

  /** Whether an earlier part of what is verified had it; if so it must be the same. */
  #isRepeated({ sequence, hash, end }: AuditCheckpoint, name: string): boolean {
    if (this.#head === undefined || sequence > this.#head.sequence || (end && sequence === this.#head.sequence)) {
      return false;
    }
    const seen = this.#seen.get(sequence);
    if (seen === undefined) this.report(`${name}: comes after entry ${this.#last}`);
    else if (!equalBytes(seen, hash)) this.report(`${name}: is not what an earlier copy of the log has there`);
    if (!end) this.#endedAtMs = undefined; // a second copy needs an end of its own
    return true;
  }

  #follow(entries: readonly (AuditEntry | undefined)[], checkpoint: AuditCheckpoint, name: string): void {
    const { sequence, hash, previous, end, time } = checkpoint;
    const firstHere = sequence - BigInt(entries.length) + 1n;
    if (this.#head === undefined) {
      this.#first = firstHere;
      if (firstHere === 1n && !equalBytes(previous, EMPTY_LOG.hash)) {
        this.report(`${name}: something was before the first entry`);
      }
    } else if (firstHere > this.#last + 1n) {
      this.report(`${missing(this.#last + 1n, firstHere - 1n)} before ${name}`);
    } else if (!equalBytes(previous, this.#head.hash)) {
      this.report(`${name}: does not follow from entry ${this.#last} as it is here`);
    }
    this.#head = { sequence, hash };
    this.#seen.set(sequence, hash);
    this.#endedAtMs = end && time !== undefined ? timestampMs(time) : undefined;
  }

  #read({ sequence, action, target, message }: AuditEntry): void {
    if (action === LOG_ACTIONS.lost) this.report(`entry ${sequence}: ${message}`);
    if (action === LOG_ACTIONS.drop) this.#notes.push(`entry ${sequence}: ${message}`);
    const kept = /^audit\.(\d{1,19})$/.exec(target)?.[1];
    if (action === LOG_ACTIONS.trim && kept !== undefined) this.#keptFrom = BigInt(kept);
  }
}

function isInOrder(entries: readonly (AuditEntry | undefined)[], { sequence }: AuditCheckpoint): boolean {
  const before = sequence - BigInt(entries.length);
  return entries.every((entry, at) => entry?.sequence === before + BigInt(at) + 1n);
}

function nameOf(entries: readonly (AuditEntry | undefined)[], { sequence, end }: AuditCheckpoint): string {
  if (end) return "the signed end";
  const first = entries.find((entry) => entry !== undefined)?.sequence ?? sequence;
  return first === sequence ? `entry ${sequence}` : `entries ${first} to ${sequence}`;
}

/** The best that the numbers of the entries tell. */
function whatChanged(entries: readonly (AuditEntry | undefined)[], { sequence }: AuditCheckpoint): string {
  if (entries.includes(undefined)) return "one of them cannot be read";
  const numbers = entries.map((entry) => entry?.sequence ?? 0n);
  for (const [at, number] of numbers.entries()) {
    const next = numbers[at + 1] ?? sequence + 1n;
    if (next <= number) return `entry ${next} comes after entry ${number}`;
    if (next !== number + 1n) return missing(number + 1n, next - 1n);
  }
  return "was changed after it was written, or its beginning is missing";
}

function missing(first: bigint, last: bigint): string {
  return first === last ? `entry ${first} is missing` : `entries ${first} to ${last} are missing`;
}
