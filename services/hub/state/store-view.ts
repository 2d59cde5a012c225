/** @module What the store holds beside what the verified map holds; they differ where the store was damaged or forged. */
import type { OpenedRecord } from "@spanwire/core/records/open";
import type { Offered, RecordMap } from "@spanwire/core/records/record-map";
import type { BucketEvent, Entry } from "./port.ts";

/** What became of one stored record. */
export type Taken = Exclude<Offered, { kind: "known" }> & { readonly key: string };

/** A record that the map holds and the store does not. */
export interface LostRecord {
  readonly record: OpenedRecord;
  /** What the store has in its place, 0 for nothing: to be expected when the record is put back. */
  readonly expectedRevision: number;
  /** Whether a delete marker explains it; else the store's history is not what it was. */
  readonly isMarked: boolean;
}

interface Stored {
  readonly revision: number;
  /** Undefined in a delete marker. */
  readonly bytes: Uint8Array | undefined;
}

export class StoreView {
  readonly records: RecordMap;
  #stored = new Map<string, Stored>();
  /** Keys whose stored bytes the map did not take: tried again when what they depend on arrives. */
  readonly #untaken = new Set<string>();
  #sequence = 0;
  #clustersSequence = 0;

  constructor(records: RecordMap) {
    this.records = records;
  }

  /** Everything up to here was taken. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The last sequence of any admission. */
  get clustersSequence(): number {
    return this.#clustersSequence;
  }

  get keyCount(): number {
    return this.#stored.size;
  }

  /** The revision under which the store holds the key; 0 when it holds nothing there. */
  revisionOf(key: string): number {
    const stored = this.#stored.get(key);
    return stored?.bytes === undefined ? 0 : stored.revision;
  }

  /** Takes the store's whole content in the place of what was known of it. The map keeps what it holds. */
  load(events: readonly Exclude<BucketEvent, { kind: "current" }>[], sequence: number): Taken[] {
    this.#stored = new Map();
    this.#untaken.clear();
    this.#sequence = sequence;
    this.#clustersSequence = 0;
    for (const event of events) this.#note(event);
    for (const [key, { bytes }] of this.#stored) if (bytes !== undefined) this.#untaken.add(key);
    return this.#offerUntaken();
  }

  /** Takes one change. */
  take(event: Exclude<BucketEvent, { kind: "current" }>): Taken[] {
    const key = this.#note(event);
    if (event.kind === "delete") return [];
    const taken = this.#offer(event.entry);
    if (taken === undefined) return [];
    if (taken.kind !== "accepted") {
      this.#untaken.add(key);
      return [taken];
    }
    const accepted = this.#untaken.size === 0 ? [] : this.#offerUntaken().filter(({ kind }) => kind === "accepted");
    return [taken, ...accepted];
  }

  /** What must be put back. */
  lost(): LostRecord[] {
    return [...this.records.records()].flatMap((record) => this.lostRecord(record.key) ?? []);
  }

  lostRecord(key: string): LostRecord | undefined {
    const record = this.records.get(key);
    if (record === undefined) return undefined;
    const stored = this.#stored.get(key);
    const isMarked = stored !== undefined && stored.bytes === undefined;
    if (stored?.bytes !== undefined) {
      if (!isDamage(this.records.offer(key, stored.bytes))) return undefined;
    }
    return { record, expectedRevision: this.revisionOf(key), isMarked };
  }

  #note(event: Exclude<BucketEvent, { kind: "current" }>): string {
    const { key, revision, bytes } = event.kind === "put" ? event.entry : { ...event, bytes: undefined };
    this.#stored.set(key, { revision, bytes });
    this.#untaken.delete(key);
    this.#sequence = Math.max(this.#sequence, revision);
    if (key.startsWith("cluster.")) this.#clustersSequence = Math.max(this.#clustersSequence, revision);
    return key;
  }

  /** Offers until nothing more is accepted: an admission may be stored later than the statement that it vouches for. */
  #offerUntaken(): Taken[] {
    const accepted: Taken[] = [];
    for (;;) {
      const others: Taken[] = [];
      const before = accepted.length;
      for (const key of this.#untaken) {
        const taken = this.#offer({ key, bytes: this.#stored.get(key)?.bytes ?? new Uint8Array() });
        if (taken === undefined || taken.kind === "accepted") this.#untaken.delete(key);
        if (taken !== undefined) (taken.kind === "accepted" ? accepted : others).push(taken);
      }
      if (accepted.length === before || this.#untaken.size === 0) return [...accepted, ...others];
    }
  }

  #offer({ key, bytes }: Pick<Entry, "key" | "bytes">): Taken | undefined {
    const offered = this.records.offer(key, bytes);
    return offered.kind === "known" ? undefined : { ...offered, key };
  }
}

/**
 * Whether what is stored can be nobody's newer word. A fork or a refusal for another reason is left alone: two hubs of
 * different versions would overwrite each other for ever.
 */
function isDamage(offered: Offered): boolean {
  if (offered.kind === "stale") return true;
  return offered.kind === "refused" && ["MALFORMED", "BAD_SIGNATURE", "WRONG_KEY"].includes(offered.reason);
}
