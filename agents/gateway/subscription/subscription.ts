/**
 * @module Stop 5: records from NATS and from disk -> a verified, ordered map, kept on disk.
 *
 * Everything that decides is in `intake.ts`; here it meets NATS, the disk and the clock. A record is on disk before
 * anybody hears of it.
 */
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import type { OpenedRecord } from "@spanwire/core/records/open";
import type { RecordMap } from "@spanwire/core/records/record-map";
import { type GatewayRef, HEAD_SUBJECT, keyOfMapSubject, MAP_REPUBLISH } from "@spanwire/core/subjects";
import type { Clock, Random } from "@spanwire/core/time";
import type { MapState } from "@spanwire/proto/registration";
import { sha256Hex } from "@spanwire/runtime/crypto/sha256";
import type { Logger } from "@spanwire/runtime/log/logger";
import { type Loop, startLoop } from "@spanwire/runtime/loop/loop";
import { fetchSnapshot } from "./fetch-snapshot.ts";
import { Intake, type IntakeEffect } from "./intake.ts";
import type { MapStore, StoredPositions } from "./map-store.ts";
import type { Rejection } from "./offer-all.ts";
import type { Position } from "./position.ts";
import { createRejections, type RecentRejection } from "./rejections.ts";
import { isRolledBack } from "./sequence.ts";

export interface SubscriptionOptions {
  readonly self: GatewayRef;
  /** With what was stored; changed by what is delivered, and by nobody else. */
  readonly map: RecordMap;
  /** Where the stored map stood; undefined where it must be confirmed. */
  readonly stored: StoredPositions | undefined;
  readonly store: MapStore;
  /** Called for records that are newly in the map and on disk, at once. */
  readonly onAccepted: (records: readonly OpenedRecord[]) => void;
  /** Called once, when a fresh agent's map was first shown to be the hub's. */
  readonly onConfirmed: () => void;
  /** Called when the store turns out to have lost records: see `missing`. */
  readonly onLost: () => void;
  /** Called when the connection is there, and each time it is back. */
  readonly onConnected: () => void;
  /** Called at each new head. */
  readonly onHead?: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** What the reports say of the map. */
export interface MapHealth {
  /** Up to where everything was heard. */
  readonly position: Position;
  readonly confirmed: boolean;
  readonly rolledBack: boolean;
  /** Records that the store has lost and we hand back. */
  readonly missing: number;
  /** Snapshots in a row that came to nothing. */
  readonly failures: number;
  /** When the last new head was heard, by our clock, and what the hub's clock said; undefined before the first. */
  readonly head: { readonly heardAtMs: number; readonly hubTimeMs: number } | undefined;
  readonly rejections: readonly RecentRejection[];
  /** Why the last change is not on disk; undefined when all is. */
  readonly notSaved: string | undefined;
}

/** The clock may be stepped while we wait. */
const LOOK_AGAIN_MS = 10_000;

export class Subscription {
  readonly #options: SubscriptionOptions;
  readonly #rejections = createRejections();
  readonly #intake: Intake;
  readonly #loop: Loop;
  readonly #bug = Promise.withResolvers<never>();
  #nats: NatsConnection | undefined;
  #head: MapHealth["head"];
  #fetching: AbortController | undefined;
  #saving: Promise<void> | undefined;
  #savedLineage: bigint;
  #wasConfirmed: boolean;
  #wakeAtMs: number | undefined;

  /** Hears nothing before `attach`. */
  constructor(options: SubscriptionOptions) {
    this.#options = options;
    this.#intake = new Intake(options);
    this.#savedLineage = this.#intake.state.horizon.lineage;
    this.#wasConfirmed = this.confirmed;
    const { clock, random, signal, log } = options;
    this.#loop = startLoop({
      clock,
      random,
      signal,
      step: async () => this.#onTimer(),
      onFailure: (err) => log.error({ err }, "following the map failed"),
    });
  }

  /** Resolves when the signal has aborted; rejects with the error of a bug. */
  get done(): Promise<void> {
    return Promise.race([this.#loop.done, this.#bug.promise]);
  }

  /** Writes down where we stand, after the signal has aborted. */
  async close(): Promise<void> {
    const { map, store } = this.#options;
    const { cursor, horizon, confirmed } = this.#intake.state;
    await this.#saving;
    if (confirmed) await store.save({ cursor, horizon }, map.records());
    store.close();
  }

  /** Records that the store has lost: see `uplink.ts`. */
  get missing(): Intake["missing"] {
    return this.#intake.missing;
  }

  giveUp(key: string): void {
    this.#intake.giveUp(key);
  }

  /** Up to where everything was heard. */
  get position(): Position {
    return this.#intake.state.cursor;
  }

  get confirmed(): boolean {
    return this.#intake.state.confirmed;
  }

  get health(): MapHealth {
    const { clock, store } = this.#options;
    const { state, missing } = this.#intake;
    return {
      position: state.cursor,
      confirmed: state.confirmed,
      rolledBack: isRolledBack(state),
      missing: missing.size,
      failures: state.failures,
      head: this.#head,
      rejections: this.#rejections.recent(clock.now()),
      notSaved: store.failure,
    };
  }

  /** Listens on a connection, which may be lost and restored by itself. */
  attach(nats: NatsConnection): void {
    this.#nats = nats;
    nats.subscribe(MAP_REPUBLISH, { callback: this.#guard((message) => this.#onMessage(message)) });
    nats.subscribe(HEAD_SUBJECT, { callback: this.#guard(({ data }) => this.#onHead(data)) });
    this.#watch(nats).catch((bug: unknown) => this.#bug.reject(bug));
    this.#loop.wake();
    this.#options.onConnected();
  }

  /** What the hub said over pinned TLS at Register or Renew. */
  told(mapState: MapState): void {
    this.#perform(this.#intake.told(mapState, this.#options.clock.now()));
  }

  /** Writes the whole map where that is due; called now and then, so that a full disk is tried again. */
  saveIfWanted(): void {
    if (this.#options.store.wantsSave) this.#save();
  }

  async #watch(nats: NatsConnection): Promise<void> {
    for await (const status of nats.status()) {
      // One that comes back while it is being closed takes no more messages.
      if (status.type !== "reconnect" || this.#options.signal.aborted) continue;
      this.#perform(this.#intake.connected(this.#options.clock.now()));
      this.#options.onConnected();
    }
  }

  /** An error in here is a bug of ours, and must neither pass unseen nor end the connection's reader. */
  #guard(handle: (message: Msg) => void): (error: Error | null, message: Msg) => void {
    return (error, message) => {
      if (error !== null || this.#options.signal.aborted) return; // the connection has told the log
      try {
        handle(message);
      } catch (bug) {
        this.#bug.reject(bug);
      }
    };
  }

  #onMessage({ subject, headers, data }: Msg): void {
    const key = keyOfMapSubject(subject);
    const sequence = headers?.get("Nats-Sequence") ?? "";
    if (key === undefined || !/^\d{1,19}$/.test(sequence)) return; // nothing that the stream has republished
    // A copy: the record lives on, the buffer that the socket filled should not.
    const message = { key, bytes: new Uint8Array(data), sequence: BigInt(sequence) };
    this.#perform(this.#intake.message(message, this.#options.clock.now()));
  }

  #onHead(bytes: Uint8Array): void {
    const nowMs = this.#options.clock.now();
    const before = this.#intake.state.known;
    const effects = this.#intake.head(bytes, nowMs);
    const { known } = this.#intake.state;
    const isNew = known !== before && known?.hubTimeMs !== undefined;
    if (isNew) this.#head = { heardAtMs: nowMs, hubTimeMs: known.hubTimeMs };
    this.#perform(effects);
    if (isNew) this.#options.onHead?.();
  }

  #onTimer(): number | undefined {
    const { clock } = this.#options;
    if (this.#nats === undefined) return undefined; // nobody to ask: `attach` wakes us
    this.#perform(this.#intake.timer(clock.now()));
    const wakeAtMs = this.#intake.wakeAtMs();
    return wakeAtMs === undefined ? undefined : Math.min(Math.max(0, wakeAtMs - clock.now()), LOOK_AGAIN_MS);
  }

  #perform(effects: readonly IntakeEffect[]): void {
    const accepted: OpenedRecord[] = [];
    for (const effect of effects) {
      if (effect.kind === "accepted") {
        accepted.push(effect.record);
        this.#rejections.lift(effect.record);
      } else if (effect.kind === "rejected") this.#reject(effect.rejection);
      else void this.#fetch(effect.have);
    }
    this.#take(accepted);
    this.#keepTime();
  }

  /** On disk first, then to the agent; a fresh agent's map only once it is shown to be the hub's. */
  #take(accepted: readonly OpenedRecord[]): void {
    const { map, store, onAccepted, onConfirmed } = this.#options;
    const { confirmed, horizon } = this.#intake.state;
    if (!confirmed) return;
    const isFirst = !this.#wasConfirmed;
    const kept = isFirst ? [...map.records()] : accepted;
    if (kept.length > 0) store.append(kept);
    // A greater lineage must survive a restart, or an old store could come back as the true one.
    const isNewLineage = horizon.lineage > this.#savedLineage;
    if (isNewLineage || (store.wantsSave && store.failure === undefined)) this.#save();
    this.#wasConfirmed = true;
    if (isFirst) onConfirmed();
    else if (accepted.length > 0) onAccepted(accepted);
  }

  #reject(rejection: Rejection): void {
    const { clock, log } = this.#options;
    if (!this.#rejections.note(rejection, clock.now())) return;
    const { key, reason, message } = rejection;
    log.warn({ key, reason, evidence: sha256Hex(rejection.bytes) }, message);
  }

  async #fetch(have: Position): Promise<void> {
    const { self, clock, log } = this.#options;
    if (this.#nats === undefined) return;
    const fetching = new AbortController();
    this.#fetching = fetching;
    const signal = AbortSignal.any([fetching.signal, this.#options.signal]);
    try {
      const snapshot = await fetchSnapshot(this.#nats, self, { have, signal });
      this.#perform(this.#intake.snapshot(snapshot, clock.now()));
      if (this.missing.size > 0) this.#options.onLost();
    } catch (err) {
      if (signal.aborted) return;
      log.debug({ err }, "no snapshot");
      this.#perform(this.#intake.snapshotFailed(clock.now()));
    }
  }

  #save(): void {
    if (this.#saving !== undefined) return; // `wantsSave` stays true where this one comes too early
    const { map, store } = this.#options;
    const { cursor, horizon } = this.#intake.state;
    this.#savedLineage = horizon.lineage;
    this.#saving = store.save({ cursor, horizon }, map.records()).finally(() => {
      this.#saving = undefined;
    });
  }

  /** After each input: the timer follows the plan, and a request that nobody waits for any more ends. */
  #keepTime(): void {
    if (this.#intake.state.snapshot.kind !== "asked") this.#fetching?.abort();
    const wakeAtMs = this.#intake.wakeAtMs();
    if (wakeAtMs === this.#wakeAtMs) return;
    this.#wakeAtMs = wakeAtMs;
    this.#loop.wake();
  }
}
