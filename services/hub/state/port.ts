/**
 * @module Everything that the hub keeps, as the rest of the hub sees it: three buckets of keys and bytes.
 *
 * A revision is the sequence of its bucket that the write got; every write of a bucket, delete markers included, gets the
 * next one. A conflict is a value, because two hubs meeting is expected. Each call may throw a SpanwireError: `invalid`
 * for a key that cannot be one, `unavailable` (retryable) while the store is away; whether the write happened is then
 * not known, and the caller reads before it writes again.
 */

export interface Entry {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly revision: number;
}

export type Written =
  | { readonly ok: true; readonly revision: number }
  /** Somebody else wrote since: nothing was written. The sentence says what was expected of which key. */
  | { readonly ok: false; readonly conflict: string };

export type BucketEvent =
  | { readonly kind: "put"; readonly entry: Entry }
  | { readonly kind: "delete"; readonly key: string; readonly revision: number }
  /** Once in each watch: whatever the bucket held when the watch began has been told. */
  | { readonly kind: "current"; readonly sequence: number };

/** What can be done with any bucket. */
export interface Bucket {
  /** Reads what a majority has stored; undefined when nothing is there, never was or was deleted. */
  get(key: string): Promise<Entry | undefined>;
  /** All entries whose key begins with `prefix` (empty, or ending in a dot), sorted by key. */
  list(prefix?: string): Promise<readonly Entry[]>;
  /**
   * Tells all entries, then every change, in the order of their revisions. What was overwritten before it could be told
   * is skipped. Ends without an error when the signal aborts; throws `unavailable` when it may have missed something:
   * watch again, from the beginning.
   */
  watch(options: { readonly prefix?: string; readonly signal: AbortSignal }): AsyncIterable<BucketEvent>;
}

/** Bucket `sw-map`: the signed records. Nothing here deletes: a record ends by a tombstone. */
export interface MapBucket extends Bucket {
  /** Writes if the key's revision is the expected one; 0 expects that nothing is there. */
  put(key: string, bytes: Uint8Array, expected: { readonly expectedRevision: number }): Promise<Written>;
  /** Writes an admission if nobody wrote any `cluster.*` since `expectedClustersSequence`. */
  putCluster(key: string, bytes: Uint8Array, expected: { readonly expectedClustersSequence: number }): Promise<Written>;
  /** The revision of the last write to any `cluster.*`; 0 when there was none. */
  lastClustersSequence(): Promise<number>;
  /** An immutable copy of the whole bucket as it was at `sequence`. */
  entries(): Promise<{ readonly sequence: number; readonly entries: readonly Entry[] }>;
  status(): Promise<MapStatus>;
}

export interface MapStatus {
  /** When the store was made, as it says: another value is another store. */
  readonly created: string;
  readonly lastSequence: number;
  /** How many keys there are, deleted ones with a marker included. */
  readonly keys: number;
}

/** Bucket `sw-registry`: what only hubs read: token claims, settings, leases, bans. */
export interface RegistryBucket extends Bucket {
  /** Writes if nothing is there. */
  create(key: string, bytes: Uint8Array): Promise<Written>;
  /** Writes if the key's revision is the expected one. */
  update(key: string, bytes: Uint8Array, expected: { readonly expectedRevision: number }): Promise<Written>;
  /** Removes the key if its revision is the expected one; without an expectation, whatever is there. */
  delete(key: string, expected?: { readonly expectedRevision: number }): Promise<Written>;
}

/** Bucket `sw-status`: what agents last acknowledged, in memory; lost with the server, and said again. */
export interface StatusBucket extends Bucket {
  put(key: string, bytes: Uint8Array): Promise<void>;
}

export interface StateStore {
  readonly map: MapBucket;
  readonly registry: RegistryBucket;
  readonly status: StatusBucket;
}
