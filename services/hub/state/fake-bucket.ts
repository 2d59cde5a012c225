/** @module A bucket in memory that behaves as JetStream's does: one sequence, compare-and-set, markers, watches. */
import { SpanwireError } from "@spanwire/core/errors";
import { createChanges } from "@spanwire/runtime/loop/changes";
import { requireKey, requirePrefix } from "./key-rules.ts";
import type { Bucket, BucketEvent, Entry, Written } from "./port.ts";

interface Message {
  readonly key: string;
  /** Undefined in a delete marker. */
  readonly bytes: Uint8Array | undefined;
  readonly sequence: number;
}

/** What a store held at one moment, to roll it back to. */
export interface BucketCopy {
  readonly messages: ReadonlyMap<string, Message>;
  readonly sequence: number;
}

export class FakeBucket implements Bucket {
  readonly #name: string;
  /** The last message of each key in the order of writing: history 1. */
  #messages = new Map<string, Message>();
  #sequence = 0;
  #away = false;
  /** Grows with each loss of the connection or of history: a watch of before has ended. */
  #era = 0;
  readonly #changes = createChanges();

  constructor(name: string) {
    this.#name = name;
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#requireHere();
    requireKey(key);
    return toEntry(this.#messages.get(key));
  }

  async list(prefix = ""): Promise<readonly Entry[]> {
    this.#requireHere();
    requirePrefix(prefix);
    const entries = [...this.#messages.values()].map(toEntry).filter((entry) => entry?.key.startsWith(prefix));
    return entries.filter((entry) => entry !== undefined).sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async *watch({ prefix = "", signal }: { prefix?: string; signal: AbortSignal }): AsyncGenerator<BucketEvent> {
    this.#requireHere();
    requirePrefix(prefix);
    const era = this.#era;
    const beganAt = this.#sequence;
    let told = 0;
    let current = false;
    while (!signal.aborted) {
      const version = this.#changes.version;
      for (const message of [...this.#messages.values()]) {
        if (message.sequence <= told || !message.key.startsWith(prefix)) continue;
        if (!current && message.sequence > beganAt) yield this.#current(beganAt, () => (current = true));
        told = message.sequence;
        yield toEvent(message);
        if (signal.aborted) return;
      }
      if (!current) yield this.#current(beganAt, () => (current = true));
      await this.#changes.after(version, signal).catch(() => {});
      if (!signal.aborted && this.#era !== era) throw this.#unavailable("the watch was cut");
    }
  }

  /** Writes when `expected` is the last sequence of the keys that `covers` tells. */
  write(
    key: string,
    bytes: Uint8Array | undefined,
    expected?: { readonly sequence: number; readonly covers: (key: string) => boolean },
  ): Written {
    this.#requireHere();
    requireKey(key);
    if (expected !== undefined) {
      const last = this.lastSequenceOf(expected.covers);
      if (last !== expected.sequence) {
        return { ok: false, conflict: `${this.#name} key "${key}": revision ${last} instead of ${expected.sequence}` };
      }
    }
    this.#sequence += 1;
    this.#messages.delete(key); // so that the map stays in the order of writing
    this.#messages.set(key, { key, bytes: bytes?.slice(), sequence: this.#sequence });
    this.#changes.notify();
    return { ok: true, revision: this.#sequence };
  }

  /** Writes when the key's revision is the expected one; a deleted key counts as 0, whatever its marker's sequence. */
  writeKey(key: string, bytes: Uint8Array | undefined, expectedRevision: number): Written {
    const message = this.#messages.get(key);
    const isDeleted = message !== undefined && message.bytes === undefined;
    const sequence = expectedRevision === 0 && isDeleted ? message.sequence : expectedRevision;
    return this.write(key, bytes, { sequence, covers: (other) => other === key });
  }

  lastSequenceOf(covers: (key: string) => boolean): number {
    this.#requireHere();
    return [...this.#messages.values()].reduce((last, { key, sequence }) => (covers(key) ? sequence : last), 0);
  }

  get sequence(): number {
    this.#requireHere();
    return this.#sequence;
  }

  get keyCount(): number {
    return this.#messages.size;
  }

  /** As when nobody can reach the server: every call throws, every watch ends. */
  goAway(): void {
    this.#away = true;
    this.#cutWatches();
  }

  comeBack(): void {
    this.#away = false;
  }

  copy(): BucketCopy {
    return { messages: new Map(this.#messages), sequence: this.#sequence };
  }

  /** Puts an old copy, or an empty store, in the place of this one. */
  rollBack(copy: BucketCopy = { messages: new Map(), sequence: 0 }): void {
    this.#messages = new Map(copy.messages);
    this.#sequence = copy.sequence;
    this.#cutWatches();
  }

  /** Removes a key without a trace, as a stream purge does. */
  purge(key: string): void {
    this.#messages.delete(key);
  }

  #cutWatches(): void {
    this.#era += 1;
    this.#changes.notify();
  }

  #current(sequence: number, note: () => void): BucketEvent {
    note();
    return { kind: "current", sequence };
  }

  #requireHere(): void {
    if (this.#away) throw this.#unavailable("the store is away");
  }

  #unavailable(why: string): SpanwireError {
    return new SpanwireError("unavailable", `${this.#name}: ${why}`, { reason: "STATE_UNAVAILABLE" });
  }
}

function toEntry(message: Message | undefined): Entry | undefined {
  if (message?.bytes === undefined) return undefined;
  return { key: message.key, bytes: message.bytes, revision: message.sequence };
}

function toEvent({ key, bytes, sequence }: Message): BucketEvent {
  if (bytes === undefined) return { kind: "delete", key, revision: sequence };
  return { kind: "put", entry: { key, bytes, revision: sequence } };
}
