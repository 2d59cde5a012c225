/** @module The chain of the audit log: each entry's hash holds the one before, so that none can be changed or left out alone. */
import type { Sha256 } from "../records/crypto.ts";
import { auditEntryInput } from "../records/signing-input.ts";

/** Where the chain is: everything up to entry `sequence` comes to `hash`. */
export interface Head {
  /** 0 before the first entry. */
  readonly sequence: bigint;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

export const EMPTY_LOG: Head = { sequence: 0n, hash: new Uint8Array(32) };

/** The hash after these entries, which follow the one that `previous` is of. */
export function chainHash(previous: Uint8Array, entries: readonly Uint8Array[], sha256: Sha256): Uint8Array {
  return entries.reduce((hash, entry) => sha256(auditEntryInput(hash, entry)), previous);
}
