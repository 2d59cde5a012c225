/**
 * @module Where the audit log is kept: messages of bytes in a sequence. As in `../state/port.ts`, a conflict is a value,
 * and each call may throw `unavailable` (retryable); whether something was written is then not known.
 */
import type { Written } from "../state/port.ts";

export interface StoredBlock {
  /** Of the store, which counts blocks; not of their entries. */
  readonly position: number;
  readonly bytes: Uint8Array;
}

export interface AuditStoreStatus {
  /** Of the oldest block; greater than `last` when there is none. */
  readonly first: number;
  /** Of the newest block that ever was; 0 before the first. */
  readonly last: number;
  /** Of all blocks together. */
  readonly sizeBytes: number;
}

export interface AuditStore {
  /** Writes the next block if the newest one is at `expectedLast`. */
  append(bytes: Uint8Array, expected: { readonly expectedLast: number }): Promise<Written>;
  /** The first block at this position or after it; undefined when there is none. */
  read(position: number): Promise<StoredBlock | undefined>;
  status(): Promise<AuditStoreStatus>;
  /** Removes all blocks before this position. */
  trim(before: number): Promise<void>;
}
