/** @module One pair in a rotation: what the kernel holds of it, what is wanted, and what the other has said. No I/O. */
import { planeOfEpoch } from "@spanwire/core/desired/lane";
import type { PairLanes } from "@spanwire/core/desired/local-facts";
import type { EpochView } from "@spanwire/core/rotation/epoch";
import { decidePair, type Heard, type PairPhase } from "@spanwire/core/rotation/pair";
import type { GatewayView } from "../liveness/gateway-watch.ts";

export interface PairTimes {
  /** How long both must have sent on the same plane before the other one counts as empty. */
  readonly drainMs: number;
  /** How long a gateway may be silent without counting as away. */
  readonly absentAfterMs: number;
}

export const DEFAULT_PAIR_TIMES: PairTimes = { drainMs: 10_000, absentAfterMs: 300_000 };

export interface PairFacts {
  readonly epoch: EpochView;
  /** Epochs for which both sides have stated a key. */
  readonly common: readonly bigint[];
  /** What probes show; undefined while it is not probed. */
  readonly view: GatewayView | undefined;
  readonly nowMs: number;
}

export class Pair {
  readonly #times: PairTimes;
  readonly #sinceMs: number;
  /** What the kernel was brought to. */
  #held: PairLanes;
  #wish: PairLanes;
  #agreedSinceMs: number | undefined;
  #phase: PairPhase = "waiting";
  #generation: bigint | undefined;
  #isAlive = true;

  constructor(held: PairLanes, times: PairTimes, nowMs: number) {
    this.#held = held;
    this.#wish = held;
    this.#times = times;
    this.#sinceMs = nowMs;
  }

  get wish(): PairLanes {
    return this.#wish;
  }

  /** The epoch that the kernel sends on: what we may say. */
  get sendsOn(): bigint | undefined {
    return this.#held.sendOn;
  }

  /** Epochs of which the kernel has a peer or is about to have one. */
  get inUse(): readonly bigint[] {
    return [...this.#held.build, ...this.#wish.build];
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Under the record of this generation; before it was looked at under that, nothing is known. */
  phase(generation: bigint): PairPhase {
    return this.#generation === generation ? this.#phase : "waiting";
  }

  /** The kernel is as was wanted. */
  confirm(): void {
    this.#held = this.#wish;
  }

  /** Decides anew; tells whether something else is wanted than before, and when to look again although nothing happens. */
  look({ epoch, common, view, nowMs }: PairFacts): { readonly hasChanged: boolean; readonly againAtMs: number } {
    const { drainMs, absentAfterMs } = this.#times;
    const { build, sendOn: sendsOn } = this.#held;
    const built = build.filter((each) => common.includes(each));
    const heard: Heard | undefined = view?.word;
    const agrees = heard !== undefined && heard.sendsOn === sendsOn;
    this.#agreedSinceMs = agrees ? (this.#agreedSinceMs ?? nowMs) : undefined;
    const quietAtMs = (this.#agreedSinceMs ?? Number.POSITIVE_INFINITY) + drainMs;
    const awayAtMs = (view?.heardAtMs ?? this.#sinceMs) + absentAfterMs;
    this.#isAlive = nowMs < awayAtMs;
    const decided = decidePair(epoch, {
      ...{ common, built, sendsOn, heard },
      ready: built.filter((each) => view?.lanes.get(planeOfEpoch(each))?.isUp),
      quiet: nowMs >= quietAtMs,
      isAlive: this.#isAlive,
    });
    this.#phase = decided.phase;
    this.#generation = epoch.generation;
    const wish = { build: decided.build, sendOn: decided.sendOn ?? firstOf(epoch, decided.build) };
    const hasChanged = !isSame(wish, this.#wish);
    if (hasChanged) this.#wish = wish;
    return { hasChanged, againAtMs: Math.min(...[quietAtMs, awayAtMs].filter((atMs) => atMs > nowMs)) };
  }
}

/** As compiling chooses: before the first peer there is none that we send on. */
function firstOf({ active }: EpochView, build: readonly bigint[]): bigint | undefined {
  return build.includes(active) ? active : build[0];
}

export function isSame(a: PairLanes, b: PairLanes): boolean {
  return a.sendOn === b.sendOn && a.build.join() === b.build.join();
}
