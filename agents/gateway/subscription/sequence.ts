/**
 * @module Decides when the map must be read whole: a pure reducer over what is heard of its sequence.
 *
 * Trust: records prove themselves, so sequences only say whether one was missed. Anybody at the relay can invent a
 * sequence number; lineage and horizon move by what the hub signed (heads) or told over pinned TLS, never by a header.
 */
import { equalBytes } from "@spanwire/core/records/digest";
import type { Random } from "@spanwire/core/time";
import { comparePositions, NOWHERE, type Position } from "./position.ts";

export interface SequenceState {
  /** Everything up to here was heard, in the stream as it is now. */
  readonly cursor: Position;
  /** The furthest position that the hub has signed or told. Only grows: a store below it was rolled back. */
  readonly horizon: Position;
  /** What was heard beyond a hole, ascending. */
  readonly ahead: readonly bigint[];
  /** The newest thing that the hub signed or told. */
  readonly known: Known | undefined;
  /** Whether a delete marker came since the last agreement or snapshot. */
  readonly hinted: boolean;
  /** Since when the heads stand below the cursor and disagree. */
  readonly belowSinceMs: number | undefined;
  /** Whether our map once equalled the newest thing known; a fresh agent programs nothing before. */
  readonly confirmed: boolean;
  readonly snapshot: SnapshotState;
  /** Snapshots in a row that came to nothing. */
  readonly failures: number;
}

export interface Known {
  readonly position: Position;
  readonly digest: Uint8Array;
  /** Undefined when told over gRPC. */
  readonly hubTimeMs: number | undefined;
  /** Whether our map had this digest. */
  readonly agreed: boolean;
}

/** Why a snapshot is wanted. */
export type Doubt =
  | "gap" // a sequence was skipped
  | "behind" // the head is further than we are
  | "differs" // same sequence, another digest
  | "below" // the head stays behind us: the store may have been rolled back
  | "hint"; // a delete marker

export type SnapshotState =
  | { readonly kind: "idle" }
  | { readonly kind: "planned"; readonly doubt: Doubt; readonly dueMs: number }
  | { readonly kind: "asked"; readonly deadlineMs: number };

export type SequenceEvent =
  /** A republished message, a delete marker included. */
  | { readonly kind: "message"; readonly sequence: bigint; readonly marker: boolean }
  /** A verified head. */
  | { readonly kind: "head"; readonly position: Position; readonly digest: Uint8Array; readonly hubTimeMs: number }
  /** What the hub said over pinned TLS at Register or Renew. */
  | { readonly kind: "told"; readonly position: Position; readonly digest: Uint8Array }
  /** A whole snapshot was taken in; `useful`: what it says we now hold. */
  | { readonly kind: "snapshot"; readonly position: Position; readonly useful: boolean }
  | { readonly kind: "snapshot-failed" }
  /** The connection is back: what failed meanwhile says nothing about the hub. */
  | { readonly kind: "connected" }
  | { readonly kind: "timer" };

export interface SequenceInputs {
  readonly nowMs: number;
  readonly random: Random;
  /** The digest of our map, after the event. */
  readonly digest: Uint8Array;
}

/** How long a message may be on its way after its head. */
export const GRACE_MS = 200;
export const SNAPSHOT_JITTER_MS = 2_000;
export const SNAPSHOT_TIMEOUT_MS = 10_000;
/** Heads come every 2 s while something happens: two of them in a row were below. */
export const BELOW_MS = 5_000;
const RETRY_BASE_MS = 2_000;
const RETRY_CAP_MS = 60_000;
const MAX_WAIT_MS = RETRY_CAP_MS + GRACE_MS + SNAPSHOT_JITTER_MS;
/** Further ones than these behind one hole are forgotten: the snapshot that fills the hole covers them, or the next. */
const MAX_AHEAD = 1_024;

/** The state before anything was read, or of a map that was read from disk (confirmed before it was stored). */
export function startSequence(stored?: { readonly cursor: Position; readonly horizon: Position }): SequenceState {
  return {
    cursor: stored?.cursor ?? NOWHERE,
    horizon: stored?.horizon ?? NOWHERE,
    ahead: [],
    known: undefined,
    hinted: false,
    belowSinceMs: undefined,
    confirmed: stored !== undefined,
    snapshot: { kind: "idle" },
    failures: 0,
  };
}

/** The state after an event. A snapshot is to be asked for whenever `snapshot` becomes "asked". */
export function advance(state: SequenceState, event: SequenceEvent, inputs: SequenceInputs): SequenceState {
  return plan(agree(hear(state, event, inputs), inputs), event, inputs);
}

/** When a timer event is due, or undefined. */
export function wakeAtMs({ snapshot }: SequenceState): number | undefined {
  if (snapshot.kind === "planned") return snapshot.dueMs;
  return snapshot.kind === "asked" ? snapshot.deadlineMs : undefined;
}

/** Whether the store stands before what the hub once signed, and misses something of it. */
export function isRolledBack({ known, horizon }: SequenceState): boolean {
  return known !== undefined && !known.agreed && comparePositions(known.position, horizon) < 0;
}

function hear(state: SequenceState, event: SequenceEvent, { nowMs }: SequenceInputs): SequenceState {
  switch (event.kind) {
    case "message":
      return hearMessage(state, event);
    case "head":
    case "told":
      return hearKnown(state, event, nowMs);
    case "snapshot":
      return hearSnapshot(state, event);
    case "snapshot-failed":
      return fail(state);
    case "connected":
      return { ...state, failures: 0, snapshot: { kind: "idle" } };
    case "timer":
      return state.snapshot.kind === "asked" && isDue(state.snapshot.deadlineMs, nowMs) ? fail(state) : state;
    default:
      return event satisfies never;
  }
}

function hearMessage(state: SequenceState, { sequence, marker }: SequenceEvent & { kind: "message" }): SequenceState {
  const hinted = marker || state.hinted;
  if (sequence <= state.cursor.sequence || state.ahead.includes(sequence)) return { ...state, hinted };
  const ahead = [...state.ahead, sequence].sort((a, b) => (a < b ? -1 : 1)).slice(0, MAX_AHEAD);
  return catchUp({ ...state, hinted, ahead }, state.cursor);
}

function hearKnown(
  state: SequenceState,
  event: SequenceEvent & { kind: "head" | "told" },
  nowMs: number,
): SequenceState {
  const { position, digest } = event;
  const hubTimeMs = event.kind === "head" ? event.hubTimeMs : undefined;
  if (position.lineage < state.horizon.lineage || isReplay(position, hubTimeMs, state.known)) return state;

  const horizon = comparePositions(position, state.horizon) > 0 ? position : state.horizon;
  // A new store counts from its own beginning, and what we heard of the old one's sequence says nothing about it.
  const isNewStore = position.lineage > state.cursor.lineage;
  const cursor = isNewStore ? { lineage: position.lineage, sequence: 0n } : state.cursor;
  const below = position.sequence < cursor.sequence;
  return {
    ...state,
    horizon,
    cursor,
    ahead: isNewStore ? [] : state.ahead,
    known: { position, digest, hubTimeMs: hubTimeMs ?? state.known?.hubTimeMs, agreed: false },
    belowSinceMs: below ? (state.belowSinceMs ?? nowMs) : undefined,
  };
}

/** Neither further nor later than what is known already. */
function isReplay(position: Position, hubTimeMs: number | undefined, known: Known | undefined): boolean {
  if (known === undefined || comparePositions(position, known.position) > 0) return false;
  return hubTimeMs === undefined || hubTimeMs <= (known.hubTimeMs ?? Number.NEGATIVE_INFINITY);
}

function hearSnapshot(state: SequenceState, { position, useful }: SequenceEvent & { kind: "snapshot" }): SequenceState {
  // A lineage that nobody signed is not taken from the relay: it would outlaw every true head after it.
  if (position.lineage !== state.cursor.lineage) return fail(state);
  const further = position.sequence > state.cursor.sequence ? position : state.cursor;
  const taken = catchUp({ ...state, hinted: false, snapshot: { kind: "idle" } }, further);
  // A hole that a snapshot does not fill was perhaps never written: asking for ever would help nobody.
  const filled = taken.ahead.length === 0 && comparePositions(position, state.horizon) >= 0;
  return { ...taken, failures: useful && filled ? 0 : state.failures + 1 };
}

function fail(state: SequenceState): SequenceState {
  return { ...state, failures: state.failures + 1, snapshot: { kind: "idle" } };
}

/** Moves the cursor to `from` and on over what was heard without a hole. */
function catchUp(state: SequenceState, from: Position): SequenceState {
  let { sequence } = from;
  const ahead = state.ahead.filter((heard) => {
    if (heard === sequence + 1n) sequence = heard;
    return heard > sequence;
  });
  return { ...state, cursor: { lineage: from.lineage, sequence }, ahead };
}

/** Notes whether our map is the known one, which settles every doubt up to there. */
function agree(state: SequenceState, { digest }: SequenceInputs): SequenceState {
  const { known } = state;
  if (known === undefined || known.agreed || !equalBytes(known.digest, digest)) return state;
  const newest = comparePositions(known.position, state.horizon) === 0;
  return {
    ...state,
    cursor: comparePositions(known.position, state.cursor) > 0 ? known.position : state.cursor,
    ahead: [], // what is really missing beyond the hole, the next head tells
    known: { ...known, agreed: true },
    confirmed: state.confirmed || newest,
    hinted: false,
    belowSinceMs: undefined,
    failures: newest ? 0 : state.failures,
  };
}

/** Plans, cancels or asks for the snapshot that the doubt calls for. */
function plan(before: SequenceState, event: SequenceEvent, { nowMs, random }: SequenceInputs): SequenceState {
  const doubt = doubtOf(before, nowMs);
  const state = doubt === "below" ? rewind(before) : before;
  const { snapshot } = state;
  if (snapshot.kind === "asked") return state;
  if (doubt === undefined) return snapshot.kind === "idle" ? state : { ...state, snapshot: { kind: "idle" } };
  if (snapshot.kind === "idle") {
    return { ...state, snapshot: { kind: "planned", doubt, dueMs: nowMs + delayMs(state, random) } };
  }
  if (event.kind !== "timer" || !isDue(snapshot.dueMs, nowMs)) return state;
  return { ...state, snapshot: { kind: "asked", deadlineMs: nowMs + SNAPSHOT_TIMEOUT_MS } };
}

/** What lies further ahead than any wait is due as well: the clock was stepped back. */
function isDue(atMs: number, nowMs: number): boolean {
  return atMs <= nowMs || atMs - nowMs > MAX_WAIT_MS;
}

function doubtOf(state: SequenceState, nowMs: number): Doubt | undefined {
  const { cursor, horizon, known, ahead, hinted, belowSinceMs, confirmed } = state;
  // To agree with an old head proves nothing: a relay may replay a whole old map to an agent that has none.
  if (!confirmed && comparePositions(cursor, horizon) < 0) return "behind";
  if (known !== undefined && !known.agreed) {
    const comparison = comparePositions(known.position, cursor);
    if (comparison > 0) return "behind";
    if (comparison === 0) return "differs";
    if (belowSinceMs !== undefined && nowMs - belowSinceMs >= BELOW_MS) return "below";
  }
  if (ahead.length > 0) return "gap";
  return hinted ? "hint" : undefined;
}

/** Goes back to where the hub says the store is, so that its next writes can be counted. */
function rewind(state: SequenceState): SequenceState {
  return { ...state, cursor: state.known?.position ?? state.cursor, ahead: [], belowSinceMs: undefined };
}

/** A fresh agent has nothing to wait for; the others must not ask all at once. */
function delayMs({ failures, confirmed, cursor }: SequenceState, random: Random): number {
  const backoffMs = failures === 0 ? 0 : Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** (failures - 1));
  const firstMs = confirmed || cursor.sequence > 0n ? GRACE_MS + random() * SNAPSHOT_JITTER_MS : 0;
  return firstMs + backoffMs * (0.5 + random() / 2);
}
