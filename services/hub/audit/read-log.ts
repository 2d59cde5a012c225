/** @module Reads the audit log as it is stored: whoever asked verifies it. */
import { decodeBlock, openUnverified } from "@spanwire/core/audit/open-block";
import type { Clock } from "@spanwire/core/time";
import { refusal } from "../refusal.ts";
import type { AuditLog } from "./audit-log.ts";
import type { AuditStore, StoredBlock } from "./audit-store.ts";

export interface ReadLogOptions {
  readonly store: AuditStore;
  readonly log: Pick<AuditLog, "end" | "lastSequence">;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface Wanted {
  /** Blocks whose last entry comes after this one. */
  readonly after: bigint;
  /** Only those with this many newest entries. */
  readonly last?: number | undefined;
  /** Goes on for ever instead of ending with the signed end. */
  readonly follow: boolean;
}

const LOOK_AGAIN_MS = 500;

/** Throws `AUDIT_ENTRY_NOT_FOUND` for what comes after an entry that there is not. */
export async function* readLog(options: ReadLogOptions, { after, last, follow }: Wanted): AsyncGenerator<Uint8Array> {
  const { store, log, clock, signal } = options;
  const newest = after === 0n ? 0n : await log.lastSequence();
  if (after > newest) {
    const message = `read the audit log after entry ${after}: it goes up to entry ${newest}`;
    throw refusal("AUDIT_ENTRY_NOT_FOUND", message);
  }
  let next = await findBlock(store, last === undefined ? after : await beforeLast(store, { after, last }));
  while (!signal.aborted) {
    const stored = await store.read(next);
    if (stored !== undefined) {
      yield stored.bytes;
      next = stored.position + 1;
    } else if (follow) {
      await clock.sleep(LOOK_AGAIN_MS, signal).catch(() => {});
    } else {
      yield await log.end();
      return;
    }
  }
}

async function beforeLast(store: AuditStore, { after, last }: { readonly after: bigint; readonly last: number }) {
  const status = await store.status();
  const newest = status.last === 0 ? undefined : await store.read(status.last);
  const before = (sequenceOf(newest) ?? 0n) - BigInt(last);
  return before > after ? before : after;
}

/** The position of the first block that has an entry after this one: entries and positions grow together. */
export async function findBlock(store: AuditStore, after: bigint): Promise<number> {
  return findFirst(store, (block) => (sequenceOf(block) ?? after + 1n) > after);
}

/** The position of the first block for which `holds`, which holds for all after it, too; behind the newest if for none. */
export async function findFirst(store: AuditStore, holds: (block: StoredBlock) => boolean): Promise<number> {
  const { first, last } = await store.status();
  let [low, high] = [first, last + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const block = await store.read(middle);
    if (block === undefined || holds(block)) high = middle;
    else low = Math.max(block.position, middle) + 1;
  }
  return low;
}

/** Undefined for what is no block of ours. */
function sequenceOf(stored: StoredBlock | undefined): bigint | undefined {
  const block = stored && decodeBlock(stored.bytes);
  return block && openUnverified(block)?.sequence;
}
