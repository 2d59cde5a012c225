/**
 * @module Takes in what the relay delivers: offers records to the map, follows the sequence, and says what follows.
 *
 * No I/O and no clock: each input comes with its time, each answer is a list of effects for the caller to perform.
 */
import { equalBytes } from "@spanwire/core/records/digest";
import { parseKey } from "@spanwire/core/records/key";
import type { OpenedRecord } from "@spanwire/core/records/open";
import type { Offered, RecordMap } from "@spanwire/core/records/record-map";
import type { Random } from "@spanwire/core/time";
import type { SnapshotEntry } from "@spanwire/proto/agent";
import type { MapState } from "@spanwire/proto/registration";
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

export interface Rejection {
  readonly key: string;
  /** A refusal reason of `openRecord`, "KEY_CLAIMED", "FORK", "NOT_IN_MAP" or "OLD_LINEAGE". */
  readonly reason: string;
  readonly message: string;
  /** What was delivered: the evidence. */
  readonly bytes: Uint8Array;
}

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

/** Authority first: what says who may sign comes before what they signed. */
const RANK = { mesh: 0, delegation: 1, cluster: 2, "policy.links": 3, epoch: 4, gateway: 5, unknown: 6 } as const;

/** Refusals that another record of the same snapshot may lift: its admission, or the release of a key. */
const MAY_PASS = new Set(["UNKNOWN_SIGNER", "NOT_ENTITLED", "KEY_CLAIMED"]);

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
    const effects = marker ? [] : this.#offer(key, bytes).effects;
    return [...effects, ...this.#advance({ kind: "message", sequence, marker }, nowMs)];
  }

  /** A signed head. */
  head(bytes: Uint8Array, nowMs: number): IntakeEffect[] {
    const opened = this.#map.open("head", bytes);
    if (!opened.ok) {
      // Without the delegation nobody can tell who may sign a head; the first snapshot brings it.
      const early = opened.reason === "UNKNOWN_SIGNER" && this.#map.delegation === undefined;
      return early ? [] : [rejected({ key: "head", bytes, ...opened })];
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
    const offered = this.#offerAll(entries);
    const useful = equalBytes(this.#map.digest(), digest);
    // What we could not verify and the sender does not count either: a statement of an identity of former times.
    const effects = useful ? offered.filter((effect) => !isUnverified(effect)) : offered;
    effects.push(...this.#advance({ kind: "snapshot", position, useful }, nowMs));
    // Where the cursor is further, what we hold beyond the snapshot may simply be newer than it.
    const comparable = comparePositions(this.#state.cursor, position) === 0;
    this.#missing = useful || !comparable ? new Map() : this.#findMissing(entries);
    return effects;
  }

  snapshotFailed(nowMs: number): IntakeEffect[] {
    return this.#advance({ kind: "snapshot-failed" }, nowMs);
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

  #offer(key: string, bytes: Uint8Array): { effects: IntakeEffect[]; kind: Offered["kind"]; reason?: string } {
    if (!(parseKey(key).type in RANK)) {
      const message = `record "${key}": is signed like a record and is none of the map`;
      return { effects: [rejected({ key, reason: "NOT_IN_MAP", message, bytes })], kind: "known" };
    }
    const offered = this.#map.offer(key, bytes);
    const { kind } = offered;
    if (kind === "accepted") {
      this.#missing.delete(key);
      return { effects: [{ kind, record: offered.record }], kind };
    }
    if (kind === "known") this.#missing.delete(key);
    if (kind === "known" || kind === "stale") return { effects: [], kind };
    const reason = kind === "fork" ? "FORK" : offered.reason;
    return { effects: [rejected({ key, reason, message: offered.message, bytes })], kind, reason };
  }

  /** Offers until nothing more is accepted: the order within a snapshot is not the order of writing. */
  #offerAll(entries: readonly SnapshotEntry[]): IntakeEffect[] {
    const effects: IntakeEffect[] = [];
    let open = [...entries].sort((a, b) => rankOf(a.key) - rankOf(b.key));
    for (let before = Number.POSITIVE_INFINITY; open.length < before; ) {
      before = open.length;
      const refusals: IntakeEffect[] = [];
      open = open.filter(({ key, record }) => {
        const offer = this.#offer(key, record);
        const mayPass = offer.kind === "refused" && MAY_PASS.has(offer.reason ?? "");
        (mayPass ? refusals : effects).push(...offer.effects);
        return mayPass;
      });
      if (open.length === 0 || open.length === before) effects.push(...refusals);
    }
    return effects;
  }

  #findMissing(entries: readonly SnapshotEntry[]): Map<string, OpenedRecord> {
    const store = new Map(entries.map(({ key, record }) => [key, record]));
    const lost = [...this.#map.records()].filter((held) => {
      const stored = store.get(held.key);
      return this.#counts(held) && !(stored !== undefined && equalBytes(stored, held.bytes));
    });
    return new Map(lost.map((record) => [record.key, record]));
  }

  /** A statement of an identity that is not admitted any more may be gone. */
  #counts({ key, payload }: OpenedRecord): boolean {
    return payload.body.case !== "statement" || this.#map.statements.has(key);
  }
}

function isUnverified(effect: IntakeEffect): boolean {
  return effect.kind === "rejected" && MAY_PASS.has(effect.rejection.reason);
}

function rankOf(key: string): number {
  const { type } = parseKey(key);
  return type === "head" || type === "applied" ? RANK.unknown : RANK[type];
}

function rejected({ key, reason, message, bytes }: Rejection): IntakeEffect {
  return { kind: "rejected", rejection: { key, reason, message, bytes } };
}
