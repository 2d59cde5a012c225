/**
 * @module Takes in what the relay delivers: offers records to the map, follows the sequence, and says what follows.
 *
 * No I/O and no clock: each input comes with its time, each answer is a list of effects for the caller to perform.
 */
import { equalBytes } from "@spanwire/core/records/digest";
import type { OpenedRecord } from "@spanwire/core/records/open";
import type { RecordMap } from "@spanwire/core/records/record-map";
import type { Random } from "@spanwire/core/time";
import type { MapState } from "@spanwire/proto/registration";
import { mayPass, offerAll, offerOne, type Rejection } from "./offer-all.ts";
import { comparePositions, type Position } from "./position.ts";
import { advance, type SequenceEvent, type SequenceState, startSequence, wakeAtMs } from "./sequence.ts";
import type { Snapshot } from "./snapshot-assembly.ts";

export type IntakeEffect =
  /** The map changed. */
  | { readonly kind: "accepted"; readonly record: OpenedRecord }
  /** Nothing changed: somebody delivered what its signer may not say, or said twice. */
  | { readonly kind: "rejected"; readonly rejection: Rejection }
  /** Ask any hub for the whole map. */
  | { readonly kind: "ask-snapshot"; readonly have: Position };

export interface Message {
  readonly key: string;
  /** Empty in a delete marker. */
  readonly bytes: Uint8Array;
  /** The header `Nats-Sequence`. */
  readonly sequence: bigint;
}

export interface IntakeOptions {
  /** Holds what was read from disk, if anything. */
  readonly map: RecordMap;
  readonly stored: { readonly cursor: Position; readonly horizon: Position } | undefined;
  readonly random: Random;
}

export class Intake {
  readonly #map: RecordMap;
  readonly #random: Random;
  #state: SequenceState;
  #missing = new Map<string, OpenedRecord>();

  constructor({ map, stored, random }: IntakeOptions) {
    this.#map = map;
    this.#random = random;
    this.#state = startSequence(stored);
  }

  get state(): SequenceState {
    return this.#state;
  }

  /** Records that we hold and the store has lost, as far as the last snapshot showed: to be handed back. */
  get missing(): ReadonlyMap<string, OpenedRecord> {
    return this.#missing;
  }

  /** When `timer` is to be called, or undefined. */
  wakeAtMs(): number | undefined {
    return wakeAtMs(this.#state);
  }

  /** A republished record or delete marker. */
  message({ key, bytes, sequence }: Message, nowMs: number): IntakeEffect[] {
    const marker = bytes.length === 0;
    const outcome = marker ? undefined : offerOne(this.#map, { key, record: bytes });
    if (outcome?.kind === "accepted" || outcome?.kind === "known") this.#missing.delete(key);
    const effects = this.#advance({ kind: "message", sequence, marker }, nowMs);
    return outcome?.kind === "accepted" || outcome?.kind === "rejected" ? [outcome, ...effects] : effects;
  }

  /** A signed head. */
  head(bytes: Uint8Array, nowMs: number): IntakeEffect[] {
    const opened = this.#map.open("head", bytes);
    if (!opened.ok) {
      // Without the delegation nobody can tell who may sign a head; the first snapshot brings it.
      const early = opened.reason === "UNKNOWN_SIGNER" && this.#map.delegation === undefined;
      return early ? [] : [rejected({ key: "head", reason: opened.reason, message: opened.message, bytes })];
    }
    const { order, payload } = opened.record;
    if (payload.body.case !== "head") return [];
    const { hubTime, digest } = payload.body.value;
    const position = { lineage: order.incarnation, sequence: order.generation };
    if (position.lineage < this.#state.horizon.lineage) {
      const message = `head: lineage ${position.lineage} is older than ${this.#state.horizon.lineage}: an old store or a replay`;
      return [rejected({ key: "head", reason: "OLD_LINEAGE", message, bytes })];
    }
    const hubTimeMs = hubTime === undefined ? 0 : Number(hubTime.seconds) * 1_000 + hubTime.nanos / 1_000_000;
    return this.#advance({ kind: "head", position, digest, hubTimeMs }, nowMs);
  }

  /** What Register or Renew told over pinned TLS. */
  told({ lineage, sequence, digest }: MapState, nowMs: number): IntakeEffect[] {
    return this.#advance({ kind: "told", position: { lineage, sequence }, digest }, nowMs);
  }

  snapshot({ position, digest, entries }: Snapshot, nowMs: number): IntakeEffect[] {
    const offered = offerAll(this.#map, entries);
    const useful = equalBytes(this.#map.digest(), digest);
    // What we cannot verify and the sender does not count either is a statement of an identity of former times.
    const worthWords = offered.rejected.filter((rejection) => !useful || !mayPass(rejection));
    const effects: IntakeEffect[] = [
      ...offered.accepted.map((record) => ({ kind: "accepted", record }) as const),
      ...worthWords.map(rejected),
      ...this.#advance({ kind: "snapshot", position, useful }, nowMs),
    ];
    // Where the cursor is further, what we hold beyond the snapshot may simply be newer than it.
    const comparable = comparePositions(this.#state.cursor, position) === 0;
    this.#missing = useful || !comparable ? new Map() : this.#findMissing(offered.same);
    return effects;
  }

  snapshotFailed(nowMs: number): IntakeEffect[] {
    return this.#advance({ kind: "snapshot-failed" }, nowMs);
  }

  connected(nowMs: number): IntakeEffect[] {
    return this.#advance({ kind: "connected" }, nowMs);
  }

  /** Forgets one that the hub will not have. */
  giveUp(key: string): void {
    this.#missing.delete(key);
  }

  timer(nowMs: number): IntakeEffect[] {
    return this.#advance({ kind: "timer" }, nowMs);
  }

  #advance(event: SequenceEvent, nowMs: number): IntakeEffect[] {
    const before = this.#state;
    this.#state = advance(before, event, { nowMs, random: this.#random, digest: this.#map.digest() });
    if (this.#state.known?.agreed === true) this.#missing.clear();
    const asks = this.#state.snapshot.kind === "asked" && before.snapshot.kind !== "asked";
    return asks ? [{ kind: "ask-snapshot", have: this.#state.cursor }] : [];
  }

  #findMissing(same: ReadonlySet<string>): Map<string, OpenedRecord> {
    const lost = [...this.#map.records()].filter((held) => !same.has(held.key) && this.#counts(held));
    return new Map(lost.map((record) => [record.key, record]));
  }

  /** A statement of an identity that is not admitted any more may be gone. */
  #counts({ key, payload }: OpenedRecord): boolean {
    return payload.body.case !== "statement" || this.#map.statements.has(key);
  }
}

function rejected(rejection: Rejection): IntakeEffect {
  return { kind: "rejected", rejection };
}
