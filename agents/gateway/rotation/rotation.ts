/**
 * @module This gateway's part in a rotation: which keys it has, and for each pair which peers it holds and on which epoch
 * it sends. Decided by `@spanwire/core/rotation`; done by the planner and the data plane; said in probes and status.
 *
 * At rest (no rotation open, one key held, every pair on it) nothing is kept for any pair and nothing is looked at.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Changed, Compiled } from "@spanwire/core/desired/compile";
import { planeOfEpoch } from "@spanwire/core/desired/lane";
import type { PairLanes, Pairs } from "@spanwire/core/desired/local-facts";
import { EPOCH_KEY, gatewayKey } from "@spanwire/core/records/key";
import type { RecordMap } from "@spanwire/core/records/record-map";
import { type EpochView, targetEpoch } from "@spanwire/core/rotation/epoch";
import { decideKeys } from "@spanwire/core/rotation/keys";
import { readEpoch } from "@spanwire/core/rotation/read-epoch";
import type { Clock, Random } from "@spanwire/core/time";
import type { RotationProgressSchema } from "@spanwire/proto/agent";
import type { Logger } from "@spanwire/runtime/log/logger";
import { type Loop, startLoop } from "@spanwire/runtime/loop/loop";
import type { Observed } from "../dataplane/observe.ts";
import { destroyEpochKey, type EpochKey, ensureEpochKey, listEpochKeys } from "../identity/wireguard-keys.ts";
import type { GatewayView } from "../liveness/gateway-watch.ts";
import { Pair, type PairTimes } from "./pair.ts";
import { type PairProgress, rotationProgress } from "./progress.ts";
import { type OwnEpochs, presentPairs, wantedPairs } from "./read-pairs.ts";

export interface RotationOptions extends PairTimes {
  readonly stateDirectory: string;
  readonly map: RecordMap;
  /** What probes show of a gateway ("us.0"). */
  readonly view: (gateway: string) => GatewayView | undefined;
  /** Told when other keys are held: lanes and statement follow. */
  readonly onKeys: (keys: readonly EpochKey[]) => void;
  /** Told when `pairs` says something else of these gateways; gives the version of the wish that takes it in. */
  readonly onPairs: (gateways: ReadonlySet<string>) => number;
  /** Told when we may say something else to these gateways. */
  readonly onSaying: (gateways: ReadonlySet<string>) => void;
  /** Told when `progress` may be another. */
  readonly onProgress: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** What is said to a gateway of the rotation. */
export interface Saying {
  readonly sendsOn: bigint;
  readonly generation: bigint;
  readonly isRotating: boolean;
}

const NO_RECORD: EpochView = { active: 0n, opening: undefined, state: "steady", generation: 0n };

export class Rotation {
  readonly #options: RotationOptions;
  #keys: readonly EpochKey[] = [];
  /** The record that the last wish was made from. */
  #epoch = NO_RECORD;
  readonly #pairs = new Map<string, Pair>();
  /** What compiling takes: of each pair that is kept. */
  readonly #lanes = new Map<string, PairLanes>();
  readonly #due = new Set<string>();
  /** When to look at a pair again although nothing happens. */
  readonly #againAtMs = new Map<string, number>();
  /** Pairs whose wish the kernel has not taken in, by the version of the wish that has it. */
  readonly #pending = new Map<string, number>();
  #loop: Loop | undefined;

  constructor(options: RotationOptions) {
    this.#options = options;
  }

  /** Reads keys and, where a rotation was under way, the kernel; makes what is missing. Before the first plan. */
  async open(observe: () => Promise<Observed>): Promise<readonly EpochKey[]> {
    const { stateDirectory, map } = this.#options;
    this.#keys = await listEpochKeys(stateDirectory);
    this.#epoch = this.#readEpoch();
    if (!this.#isAtRest()) {
      for (const [name, lanes] of presentPairs(map, await observe(), this.#own)) this.#keep(name, lanes);
    }
    await this.#settleKeys();
    return this.#keys;
  }

  /** Goes on from it with each plan: what compiling builds for a gateway that is not in here follows the record. */
  get pairs(): Pairs {
    return this.#lanes;
  }

  /** To be told of each plan; `asked` is what it was asked to look at. */
  take({ desired }: Pick<Compiled, "desired">, asked: Changed): void {
    const former = this.#epoch.generation;
    this.#epoch = this.#readEpoch();
    if (this.#isAtRest() && this.#pairs.size === 0) return;
    const isOther = this.#epoch.generation !== former;
    const own = this.#own;
    for (const id of isOther || asked === "all" ? desired.clusters.keys() : asked) {
      const wanted = wantedPairs(id, desired.clusters.get(id) ?? NOTHING, own);
      for (const [name, lanes] of wanted) this.#take(name, lanes);
    }
    this.#forgetGone(desired);
    if (isOther) this.#options.onSaying(new Set(this.#pairs.keys()));
    this.#loop?.wake();
  }

  /** Says "something is seen of these gateways". */
  look(gateways: Iterable<string>): void {
    if (this.#pairs.size === 0) return;
    for (const name of gateways) if (this.#pairs.has(name)) this.#due.add(name);
    this.#loop?.wake();
  }

  /** The kernel sends as the wish of this version says. */
  applied(version: number): void {
    if (this.#pending.size === 0) return;
    const confirmed = [...this.#pending].flatMap(([name, since]) => (since <= version ? [name] : []));
    for (const name of confirmed) {
      this.#pending.delete(name);
      this.#pairs.get(name)?.confirm();
      this.#due.add(name);
    }
    this.#options.onSaying(new Set(confirmed));
    this.#loop?.wake();
  }

  /** From memory. */
  saying(gateway: string): Saying {
    const { active, generation } = this.#epoch;
    const pair = this.#pairs.get(gateway);
    return { sendsOn: pair?.sendsOn ?? active, generation, isRotating: pair !== undefined };
  }

  progress(): MessageInitShape<typeof RotationProgressSchema> {
    const { generation } = this.#epoch;
    const pairs = Array.from(this.#pairs, ([gateway, pair]): PairProgress => {
      return { gateway, phase: pair.phase(generation), isAlive: pair.isAlive };
    });
    return rotationProgress(this.#epoch, pairs);
  }

  /** Resolves when the signal has aborted; rejects with the error of a bug. */
  async run(): Promise<void> {
    const { clock, random, log, signal } = this.#options;
    this.#loop = startLoop({
      step: () => this.#step(),
      onFailure: (err, _failure, retryInMs) =>
        log.error({ err, retryInMs }, "making or destroying a WireGuard key failed"),
      clock,
      random,
      signal,
    });
    await this.#loop.done;
  }

  async #step(): Promise<number | undefined> {
    const { clock, onKeys, onProgress } = this.#options;
    const nowMs = clock.elapsed();
    for (const [name, atMs] of this.#againAtMs) if (atMs <= nowMs) this.#due.add(name);
    if (this.#due.size > 0) {
      this.#lookAtDue(nowMs);
      onProgress();
    }
    if (await this.#settleKeys()) onKeys(this.#keys);
    const nextMs = Math.min(...this.#againAtMs.values());
    return nextMs === Number.POSITIVE_INFINITY ? undefined : Math.max(0, nextMs - clock.elapsed());
  }

  #lookAtDue(nowMs: number): void {
    const { onPairs, onSaying } = this.#options;
    const epoch = this.#epoch;
    const due = [...this.#due];
    this.#due.clear();
    const changed = new Set<string>();
    const released = new Set<string>();
    for (const name of due) {
      const pair = this.#pairs.get(name);
      if (pair === undefined) continue;
      const view = this.#options.view(name);
      const { hasChanged, againAtMs } = pair.look({ epoch, common: this.#common(name), view, nowMs });
      this.#againAtMs.set(name, againAtMs);
      if (hasChanged) {
        this.#lanes.set(name, pair.wish);
        changed.add(name);
      } else if (!this.#pending.has(name) && this.#isSettled(pair)) {
        this.#drop(name);
        released.add(name);
      }
    }
    if (changed.size > 0) {
      const version = onPairs(changed);
      for (const name of changed) this.#pending.set(name, version);
    }
    if (released.size > 0) onSaying(released);
  }

  /** Makes and destroys keys; tells whether other ones are held now. */
  async #settleKeys(): Promise<boolean> {
    const { stateDirectory, map } = this.#options;
    if (map.epoch === undefined) return false;
    const held = this.#keys.map(({ epoch }) => epoch);
    const inUse = [...this.#pairs.values()].flatMap((pair) => pair.inUse);
    const { make, destroy } = decideKeys(this.#epoch, { held, inUse });
    if (make.length + destroy.length === 0) return false;
    for (const epoch of destroy) await destroyEpochKey(stateDirectory, epoch);
    const made = await Promise.all(make.map((epoch) => ensureEpochKey(stateDirectory, epoch)));
    this.#keys = [...this.#keys.filter(({ epoch }) => !destroy.includes(epoch)), ...made];
    return true;
  }

  /** Keeps the pair from now on, unless it rests where the record says. */
  #take(name: string, lanes: PairLanes): void {
    if (!this.#pairs.has(name)) {
      const isRunning = this.#epoch.state === "open" || this.#epoch.state === "closing";
      if (!isRunning && isOnly(lanes, targetEpoch(this.#epoch))) return;
      this.#keep(name, lanes);
    }
    this.#due.add(name);
  }

  #keep(name: string, lanes: PairLanes): void {
    const { clock } = this.#options;
    this.#pairs.set(name, new Pair(lanes, this.#options, clock.elapsed()));
    this.#lanes.set(name, lanes);
    this.#due.add(name);
  }

  #drop(name: string): void {
    for (const kept of [this.#pairs, this.#lanes, this.#againAtMs, this.#pending]) kept.delete(name);
    this.#due.delete(name);
  }

  /** Gateways and whole clusters that are admitted no more. */
  #forgetGone(desired: Compiled["desired"]): void {
    const { map } = this.#options;
    for (const name of this.#pairs.keys()) {
      const { clusterId, ordinal } = refOf(name);
      const isAdmitted = map.admissions.get(clusterId)?.gateways.some((each) => each.ordinal === ordinal) ?? false;
      if (!isAdmitted || !desired.clusters.has(clusterId)) this.#drop(name);
    }
  }

  /** Whether compiling would choose the same without being told. */
  #isSettled(pair: Pair): boolean {
    const { state, generation } = this.#epoch;
    const isRunning = state === "open" || state === "closing";
    return !isRunning && pair.phase(generation) === "done" && isOnly(pair.wish, targetEpoch(this.#epoch));
  }

  #isAtRest(): boolean {
    const { state, active } = this.#epoch;
    const [key, ...others] = this.#keys;
    return (state === "steady" || state === "aborted") && key?.epoch === active && others.length === 0;
  }

  /** Epochs for which the other has stated a key and we hold one. */
  #common(name: string): readonly bigint[] {
    const { clusterId, ordinal } = refOf(name);
    const theirs = this.#options.map.statements.get(gatewayKey(clusterId, ordinal))?.statement.keys ?? [];
    return this.#keys.flatMap(({ epoch }) => (theirs.some((key) => key.epoch === epoch) ? [epoch] : []));
  }

  get #own(): OwnEpochs {
    return new Map(this.#keys.map(({ epoch }) => [planeOfEpoch(epoch), epoch]));
  }

  #readEpoch(): EpochView {
    const { map } = this.#options;
    const generation = map.get(EPOCH_KEY)?.order.generation ?? 0n;
    return map.epoch === undefined ? NO_RECORD : readEpoch(map.epoch, generation);
  }
}

const NOTHING = { peers: [], nexthops: [] };

function isOnly({ build, sendOn }: PairLanes, epoch: bigint): boolean {
  return build.length === 1 && build[0] === epoch && sendOn === epoch;
}

/** Reads "us.0". */
function refOf(name: string): { readonly clusterId: string; readonly ordinal: number } {
  const dot = name.lastIndexOf(".");
  return { clusterId: name.slice(0, dot), ordinal: Number(name.slice(dot + 1)) };
}
