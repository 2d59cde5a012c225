/**
 * @module The audit log as a hub writes it: one chain, of all hubs together, by compare-and-set on the newest block.
 *
 * (decisions/0001-one-chain.md)
 */
import { EMPTY_LOG, type Head } from "@spanwire/core/audit/chain";
import { type AuditFacts, LOG_ACTIONS } from "@spanwire/core/audit/entry";
import { createBlockOpener, decodeBlock } from "@spanwire/core/audit/open-block";
import { type BlockSealer, sealBlock } from "@spanwire/core/audit/seal-block";
import { equalBytes } from "@spanwire/core/records/digest";
import type { RecordMapOptions } from "@spanwire/core/records/record-map";
import type { Clock, Random } from "@spanwire/core/time";
import { refusal } from "../refusal.ts";
import type { RegistryBucket } from "../state/port.ts";
import type { AuditStore } from "./audit-store.ts";
import { readHead, writeHead } from "./remembered-head.ts";

export interface AuditLogOptions {
  readonly store: AuditStore;
  readonly registry: RegistryBucket;
  readonly sealer: BlockSealer;
  /** What blocks of other hubs are verified against. */
  readonly trust: RecordMapOptions;
  readonly clock: Clock;
  readonly random: Random;
}

export interface AuditLog {
  /**
   * Writes the entries, in one block, and says how many of them, from the first on, are in the log. After a failure the
   * next call is to begin with the same entries: what was written although its answer was lost is not written twice. Not
   * to be called while another call is under way.
   */
  append(facts: readonly AuditFacts[], signal: AbortSignal): Promise<number>;
  /** The last entry that the log has, or had before its store lost its end. */
  lastSequence(): Promise<bigint>;
  /** A signed block that says how far the log goes, also where the store does not go so far any more. */
  end(): Promise<Uint8Array>;
  /** Tells the registry how far the log goes. */
  remember(): Promise<void>;
}

/** A write of which no answer came. */
interface Attempted {
  readonly bytes: Uint8Array;
  readonly after: number;
  readonly count: number;
}

interface Place {
  readonly head: Head;
  /** Of the newest block in the store. */
  readonly position: number;
  /** How far the log had gone, where the store has lost its end. */
  readonly lost: Head | undefined;
}

/** Of several hubs that write at the same time one succeeds each time. */
const ATTEMPTS = 50;
const LONGEST_PAUSE_MS = 20;
/** Behind what is no block of ours there may be one that is. */
const LOOK_BACK = 100;
const REMEMBER_MS = 10_000;

export function createAuditLog(options: AuditLogOptions): AuditLog {
  const { store, registry, sealer, clock, random } = options;
  /** The furthest that this process knows of. */
  let known: Head | undefined;
  let place: Place | undefined;
  let attempted: Attempted | undefined;
  let rememberedAtMs = Number.NEGATIVE_INFINITY;

  async function find(): Promise<Place> {
    const newest = await findNewest(options);
    const remembered = further(known, await readHead(registry));
    const isLost = remembered !== undefined && remembered.sequence > newest.head.sequence;
    return { ...newest, lost: isLost ? remembered : undefined };
  }

  /** Whether a block is in the store although its answer was lost. */
  async function wasWritten({ bytes, after }: Attempted): Promise<boolean> {
    for (let block = await store.read(after + 1); block !== undefined; block = await store.read(block.position + 1)) {
      if (equalBytes(block.bytes, bytes)) return true;
    }
    return false;
  }

  async function remember(force: boolean): Promise<void> {
    if (known === undefined) return;
    rememberedAtMs = clock.now();
    await writeHead(registry, known, { force });
  }

  return {
    async append(facts, signal) {
      if (attempted !== undefined) {
        const { count } = attempted;
        const isThere = await wasWritten(attempted);
        attempted = undefined;
        if (isThere) return count;
      }
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        signal.throwIfAborted();
        place ??= await find();
        const { head, position, lost } = place;
        const nowMs = clock.now();
        const whole = lost === undefined ? facts : [lossOf(lost, head, nowMs), ...facts];
        const sealed = await sealBlock(sealer, whole, { head, nowMs });
        attempted = { bytes: sealed.bytes, after: position, count: facts.length };
        place = undefined;
        const written = await store.append(sealed.bytes, { expectedLast: position });
        attempted = undefined;
        if (written.ok) {
          known = sealed.head;
          place = { head: known, position: written.revision, lost: undefined };
          const isDue = lost !== undefined || Math.abs(nowMs - rememberedAtMs) >= REMEMBER_MS;
          if (isDue) await remember(lost !== undefined).catch(() => {}); // the log itself is written
          return facts.length;
        }
        await clock.sleep(random() * LONGEST_PAUSE_MS, signal);
      }
      throw refusal("BUSY", "other hubs are writing the audit log at the same time");
    },
    async lastSequence() {
      const { head, lost } = await find();
      return (lost ?? head).sequence;
    },
    async end() {
      const { head, lost } = await find();
      const sealed = await sealBlock(sealer, [], { head: lost ?? head, nowMs: clock.now() });
      return sealed.bytes;
    },
    remember: () => remember(false),
  };
}

async function findNewest({ store, trust }: AuditLogOptions): Promise<{ head: Head; position: number }> {
  const { first, last } = await store.status();
  const open = createBlockOpener(trust);
  for (let at = last; at >= first && at > last - LOOK_BACK; at--) {
    const stored = await store.read(at);
    const block = stored?.position === at ? decodeBlock(stored.bytes) : undefined;
    const opening = block && open(block);
    if (opening?.ok === true) return { head: opening.block.checkpoint, position: last };
  }
  return { head: EMPTY_LOG, position: last };
}

function further(a: Head | undefined, b: Head | undefined): Head | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.sequence >= b.sequence ? a : b;
}

function lossOf(lost: Head, head: Head, timeMs: number): AuditFacts {
  return {
    timeMs,
    action: LOG_ACTIONS.lost,
    actor: { kind: "hub" },
    message: `the log had gone up to entry ${lost.sequence}; its store has lost what came after entry ${head.sequence}`,
    before: JSON.stringify({ sequence: `${lost.sequence}`, hash: Buffer.from(lost.hash).toString("hex") }),
  };
}
