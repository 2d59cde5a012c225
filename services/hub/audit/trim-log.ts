/** @module Keeps the audit log within its limits: the oldest blocks go, and the log says so before they do. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type AuditFacts, LOG_ACTIONS } from "@spanwire/core/audit/entry";
import { decodeBlock, openUnverified } from "@spanwire/core/audit/open-block";
import type { AuditStore, StoredBlock } from "./audit-store.ts";
import { findFirst } from "./read-log.ts";

export interface LogLimits {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

export interface TrimOptions {
  readonly store: AuditStore;
  readonly limits: LogLimits;
  /** Resolves when the entry is in the log. */
  readonly write: (facts: AuditFacts) => Promise<void>;
  readonly nowMs: number;
}

/** So that a full log is not trimmed with every block that comes. */
const KEPT_OF_A_FULL_LOG = 0.9;

/** Removes what is too old or too much; the newest block always stays. Returns how many blocks went. */
export async function trimLog({ store, limits, write, nowMs }: TrimOptions): Promise<number> {
  const { first, last, sizeBytes } = await store.status();
  if (first >= last) return 0;
  const tooOld = await findFirst(store, (block) => timeOf(block) >= nowMs - limits.maxAgeMs);
  const share = sizeBytes > limits.maxBytes ? (limits.maxBytes * KEPT_OF_A_FULL_LOG) / sizeBytes : 1;
  const tooMuch = last + 1 - Math.max(1, Math.floor((last + 1 - first) * share));
  const keep = Math.min(last, Math.max(tooOld, tooMuch));
  if (keep <= first) return 0;
  const kept = await store.read(keep);
  const entry = kept && firstEntryOf(kept);
  if (entry === undefined) return 0;
  await write({
    timeMs: nowMs,
    action: LOG_ACTIONS.trim,
    actor: { kind: "hub" },
    target: `audit.${entry}`,
    message: `entries before ${entry} are beyond the limits of the log and are removed`,
  });
  await store.trim(keep);
  return keep - first;
}

/** What is no block of ours is young: it goes when its neighbours do. */
function timeOf({ bytes }: StoredBlock): number {
  const block = decodeBlock(bytes);
  const time = block && openUnverified(block)?.time;
  return time === undefined ? Number.POSITIVE_INFINITY : timestampMs(time);
}

function firstEntryOf({ bytes }: StoredBlock): bigint | undefined {
  const block = decodeBlock(bytes);
  const checkpoint = block && openUnverified(block);
  return checkpoint && checkpoint.sequence - BigInt(block.entries.length) + 1n;
}
