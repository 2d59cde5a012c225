/**
 * @module The map as this hub holds it: verified, live, and put back where the store has lost it.
 *
 * The store is watched from its beginning after each loss of the connection, and compared with what this hub holds: a
 * record that was there and is not any more was lost by the store, not ended (only a tombstone ends one).
 */
import type { OpenedRecord, RefusalReason } from "@spanwire/core/records/open";
import { RecordMap, type RecordMapOptions } from "@spanwire/core/records/record-map";
import type { Clock, Random } from "@spanwire/core/time";
import { type Changes, createChanges } from "@spanwire/runtime/loop/changes";
import { type Loop, startLoop } from "@spanwire/runtime/loop/loop";
import { ensureLineage } from "./lineage.ts";
import { createMapSnapshot, type MapSnapshot } from "./map-snapshot.ts";
import type { BucketEvent, MapStatus, StateStore } from "./port.ts";
import { type LostRecord, StoreView, type Taken } from "./store-view.ts";

export interface HubMap {
  /** Verified and live: read it, never offer to it. */
  readonly records: RecordMap;
  /**
   * Whether `records`, `sequence` and `lineage` belong together: not before the store was read whole, and not while it
   * is compared anew after a loss of the connection. Until then nothing of this may be signed or sent to anybody.
   */
  readonly isCurrent: boolean;
  /** Everything up to this sequence of the store is in `records`. */
  readonly sequence: number;
  /** The expectation for the next admission that is decided by `records` as they are now. */
  readonly clustersSequence: number;
  readonly lineage: bigint;
  /** Grows after each change of anything here. */
  readonly changes: Changes;
  /** The expectation for the next write of a key that is decided by `records` as they are now; 0 for a new key. */
  revisionOf(key: string): number;
  /**
   * Somebody brings a newer record of this key that only a hub can have signed. Where the store does not hold it, the
   * store was rolled back before this hub was started: resolves when the lineage has grown for that, once.
   */
  noteLost(key: string): Promise<void>;
  /** Resolves when everything up to `sequence` (of an own write, for example) is in `records`. */
  waitFor(sequence: number, signal: AbortSignal): Promise<void>;
  /** Resolves when `isCurrent`. */
  whenCurrent(signal: AbortSignal): Promise<void>;
  /** The whole map as of `sequence`, immutable; the same object until the next change. */
  snapshot(): MapSnapshot;
  /** Calls back for each record that is newly accepted from now on; gives the function that ends it. */
  onAccepted(listener: (record: OpenedRecord) => void): () => void;
  /** Resolves when the signal has aborted and nothing runs any more; rejects when the program is wrong. */
  readonly done: Promise<void>;
}

/** What somebody should know: for the log, metrics and conditions. */
export type MapIncident =
  | {
      readonly kind: "refused";
      readonly key: string;
      readonly reason: RefusalReason | "KEY_CLAIMED" | "FORK" | "STALE";
      readonly message: string;
    }
  /** The store no longer held them: put back (or found written again by somebody else). */
  | { readonly kind: "lost"; readonly keys: readonly string[] }
  | { readonly kind: "lineage"; readonly from: bigint; readonly to: bigint }
  | { readonly kind: "unavailable"; readonly error: unknown; readonly retryInMs: number | undefined };

export interface HubMapOptions {
  readonly store: StateStore;
  /** What every record is verified against. */
  readonly trust: RecordMapOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly onIncident: (incident: MapIncident) => void;
  readonly signal: AbortSignal;
}

/** How often the store is asked whether it is still the one that we follow: of most that happens to it the watch tells. */
const CHECK_MS = 5_000;
const BACKOFF = { baseMs: 100, capMs: 2_000 };

/** Starts to follow the store; returns at once, also while the store is away. */
export function startHubMap(options: HubMapOptions): HubMap {
  return new LiveHubMap(options);
}

class LiveHubMap implements HubMap {
  readonly changes = createChanges();
  readonly done: Promise<void>;
  readonly #options: HubMapOptions;
  readonly #view: StoreView;
  readonly #listeners = new Set<(record: OpenedRecord) => void>();
  readonly #following: Loop;
  #isCurrent = false;
  #lineage = 0n;
  /** What it was when this hub first read it: once it is greater, whatever was lost before is known to be lost. */
  #firstLineage: bigint | undefined;
  #snapshot: MapSnapshot | undefined;
  /** Whether a change of the store's history was seen for which the lineage has not grown yet. */
  #isHistoryChanged = false;
  /** What the last comparison found lost: the lineage has grown for it, whether or not it could be put back since. */
  #lostKeys: ReadonlySet<string> = new Set();
  /** Ends the watch that runs, so that the next one reads the store from its beginning. */
  #restart = new AbortController();

  constructor(options: HubMapOptions) {
    this.#options = options;
    this.#view = new StoreView(new RecordMap(options.trust));
    const { clock, random, signal, onIncident } = options;
    const loop = {
      clock,
      random,
      signal,
      backoff: BACKOFF,
      onFailure: (error: unknown, _: unknown, retryInMs: number | undefined) =>
        onIncident({ kind: "unavailable", error, retryInMs }),
    };
    this.#following = startLoop({ ...loop, step: (stop) => this.#follow(stop) });
    const checking = startLoop({ ...loop, step: () => this.#check() });
    this.done = Promise.all([this.#following.done, checking.done]).then(() => {});
  }

  get records(): RecordMap {
    return this.#view.records;
  }

  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  get sequence(): number {
    return this.#view.sequence;
  }

  get clustersSequence(): number {
    return this.#view.clustersSequence;
  }

  get lineage(): bigint {
    return this.#lineage;
  }

  revisionOf(key: string): number {
    return this.#view.revisionOf(key);
  }

  async noteLost(key: string): Promise<void> {
    if (this.#firstLineage === undefined || this.#lineage > this.#firstLineage) return;
    const { map } = this.#options.store;
    const entry = await map.get(key);
    if ((entry?.revision ?? 0) !== this.revisionOf(key)) return; // it is we who are behind
    this.#isHistoryChanged = true;
    await this.#updateLineage((await map.status()).created);
  }

  waitFor(sequence: number, signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#isCurrent && this.sequence >= sequence, signal);
  }

  whenCurrent(signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#isCurrent, signal);
  }

  snapshot(): MapSnapshot {
    this.#snapshot ??= createMapSnapshot(this.records, { lineage: this.#lineage, sequence: this.sequence });
    return this.#snapshot;
  }

  onAccepted(listener: (record: OpenedRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async #until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { version } = this.changes;
      if (holds()) return;
      await this.changes.after(version, signal);
    }
  }

  async #follow(stop: AbortSignal): Promise<number> {
    this.#restart = new AbortController();
    const signal = AbortSignal.any([stop, this.#restart.signal]);
    const before: Exclude<BucketEvent, { kind: "current" }>[] = [];
    let isLoaded = false;
    for await (const event of this.#options.store.map.watch({ signal })) {
      if (event.kind === "current") {
        await this.#load(before, event.sequence);
        before.length = 0; // this loop lives as long as the connection
        isLoaded = true;
      } else if (isLoaded) await this.#take(event);
      else before.push(event);
    }
    return 0;
  }

  async #load(events: readonly Exclude<BucketEvent, { kind: "current" }>[], sequence: number): Promise<void> {
    const { store } = this.#options;
    const { created } = await store.map.status();
    this.#isCurrent = false;
    if (sequence < this.sequence) this.#isHistoryChanged = true;
    const taken = this.#view.load(events, sequence);
    const lost = await this.#confirmLost(this.#view.lost());
    if (lost.some(({ isMarked, record }) => !isMarked && !this.#lostKeys.has(record.key)))
      this.#isHistoryChanged = true;
    // Before anything is put back: what is written from here on belongs to the new lineage.
    await this.#updateLineage(created);
    this.#lostKeys = new Set(lost.map(({ record }) => record.key));
    this.#isCurrent = true;
    this.#announce(taken);
    await this.#putBack(lost);
  }

  async #take(event: Exclude<BucketEvent, { kind: "current" }>): Promise<void> {
    this.#announce(this.#view.take(event));
    const lost = this.#view.lostRecord(event.kind === "put" ? event.entry.key : event.key);
    if (lost !== undefined) await this.#putBack([lost]);
  }

  /** A record may have been overwritten after the watch passed it: it comes again, and was not lost. */
  async #confirmLost(lost: readonly LostRecord[]): Promise<LostRecord[]> {
    const { map } = this.#options.store;
    const confirmed: LostRecord[] = [];
    for (const each of lost) {
      const entry = await map.get(each.record.key);
      if ((entry?.revision ?? 0) === each.expectedRevision) confirmed.push(each);
    }
    return confirmed;
  }

  /** Safe to repeat and for several hubs at once: whatever is newer in the store makes the write a conflict. */
  async #putBack(lost: readonly LostRecord[]): Promise<void> {
    if (lost.length === 0) return;
    this.#options.onIncident({ kind: "lost", keys: lost.map(({ record }) => record.key) });
    const { map } = this.#options.store;
    for (const { record, expectedRevision } of lost) await map.put(record.key, record.bytes, { expectedRevision });
  }

  async #check(): Promise<number> {
    if (!this.#isCurrent) return CHECK_MS;
    const { sequence, keyCount } = this.#view;
    const { lineage } = this;
    const status = await this.#options.store.map.status();
    await this.#updateLineage(status.created);
    if (isDamaged(status, { sequence, keyCount }) || this.lineage !== lineage) this.#restart.abort();
    return CHECK_MS;
  }

  async #updateLineage(created: string): Promise<void> {
    const { store, clock, onIncident } = this.#options;
    const from = this.#lineage;
    const isHistoryChanged = this.#isHistoryChanged;
    const to = await ensureLineage(store.registry, { created, known: from, isHistoryChanged, nowMs: clock.now() });
    if (isHistoryChanged) this.#isHistoryChanged = false;
    this.#firstLineage ??= to;
    if (to <= this.#lineage) return;
    this.#lineage = to;
    this.#changed();
    if (from > 0n) onIncident({ kind: "lineage", from, to });
  }

  #announce(taken: readonly Taken[]): void {
    this.#changed();
    for (const each of taken) {
      if (each.kind === "accepted") for (const listener of this.#listeners) listener(each.record);
      else this.#options.onIncident(incidentOf(each));
    }
  }

  #changed(): void {
    this.#snapshot = undefined;
    this.changes.notify();
  }
}

/** Neither sequence nor number of keys ever falls in a store that is whole. */
function isDamaged(status: MapStatus, read: { readonly sequence: number; readonly keyCount: number }): boolean {
  return status.lastSequence < read.sequence || status.keys < read.keyCount;
}

function incidentOf(taken: Exclude<Taken, { kind: "accepted" }>): MapIncident {
  const { key } = taken;
  switch (taken.kind) {
    case "refused":
      return { kind: "refused", key, reason: taken.reason, message: taken.message };
    case "fork":
      return { kind: "refused", key, reason: "FORK", message: taken.message };
    case "stale":
      return {
        kind: "refused",
        key,
        reason: "STALE",
        message: `record "${key}": the store holds an older one than we do`,
      };
    default:
      return taken satisfies never;
  }
}
