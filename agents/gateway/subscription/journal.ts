/** @module A file that only grows at its end: what was accepted since the map was last saved whole. */
import { closeSync, constants, fdatasync, ftruncateSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { promisify } from "node:util";
import { frameEntries, readFrames } from "./journal-frame.ts";
import type { Entry } from "./offer-all.ts";

const PRIVATE_MODE = 0o600;
const syncData = promisify(fdatasync);

/**
 * Appends with one system call and without waiting for the disk: what was appended survives a crash of the process at
 * once, and a crash of the machine after `sync`. Synchronous, because an entry must be in the file before it is acted
 * on, and the call costs less (about 10 µs) than one that waits its turn in a pool of threads.
 */
export class Journal {
  readonly path: string;
  #file: number | undefined;
  #bytes = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** How long the file is. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Reads what is there, the journal before it first; throws what the file system throws, except for missing files. */
  load(): { readonly entries: readonly Entry[]; readonly whole: boolean } {
    const previous = readFrames(readIfPresent(this.#previousPath));
    const current = readFrames(readIfPresent(this.path));
    this.#bytes = current.endBytes;
    return { entries: [...previous.entries, ...current.entries], whole: previous.whole && current.whole };
  }

  /** All or nothing: throws what the file system throws (disk full, read-only). */
  append(entries: readonly Entry[]): void {
    const frames = frameEntries(entries);
    const file = this.#open();
    try {
      for (let at = 0; at < frames.length; ) at += writeSync(file, frames, at, frames.length - at, this.#bytes + at);
      this.#bytes += frames.length;
    } catch (error) {
      this.#close(); // the next append cuts the torn entry off
      throw error;
    }
  }

  /** Resolves when everything appended before the call will survive a power loss. */
  async sync(): Promise<void> {
    if (this.#file !== undefined) await syncData(this.#file);
  }

  /** Starts an empty journal and keeps this one as the previous: after the map was saved whole. */
  rotate(): void {
    this.#close();
    try {
      renameSync(this.path, this.#previousPath);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    this.#bytes = 0;
  }

  close(): void {
    this.#close();
  }

  get #previousPath(): string {
    return `${this.path}.previous`;
  }

  #open(): number {
    if (this.#file !== undefined) return this.#file;
    // Not in append mode: the end is behind the last whole entry, not behind what a crash left.
    this.#file = openSync(this.path, constants.O_RDWR | constants.O_CREAT, PRIVATE_MODE);
    ftruncateSync(this.#file, this.#bytes);
    return this.#file;
  }

  #close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function readIfPresent(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isMissing(error)) return new Uint8Array();
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
