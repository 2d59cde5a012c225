/** @module Hub and gateways at one moment of a rotation, as far as it matters to what can come of it. */
import type { EpochView } from "../epoch.ts";
import type { GatewayReport } from "../lead.ts";
import type { Heard } from "../pair.ts";

export interface World {
  readonly epoch: EpochView;
  /** Epochs of the keys in the stored statement, by gateway. */
  readonly statements: readonly Epochs[];
  readonly reports: readonly (GatewayReport | undefined)[];
  readonly gateways: readonly Gateway[];
  readonly opensLeft: number;
  readonly abortsLeft: number;
}

export interface Gateway {
  readonly isAway: boolean;
  /** As read from the map. */
  readonly epoch: EpochView;
  readonly statements: readonly Epochs[];
  /** On disk. */
  readonly keys: Epochs;
  /** By the other gateway; its own place is unused. */
  readonly pairs: readonly Pair[];
}

export interface Pair {
  readonly built: Epochs;
  readonly sendsOn: bigint | undefined;
  readonly heard: Heard | undefined;
  readonly ready: Epochs;
}

export type Epochs = readonly bigint[];

const STEADY: EpochView = { active: 0n, opening: undefined, state: "steady", generation: 1n };

/** A mesh at rest on epoch 0. Gateways from `joined` on have just been admitted: no key, no peer. */
export function restingWorld(size: number, limits: { opens: number; aborts: number; joined?: number }): World {
  const { opens, aborts, joined = size } = limits;
  const each = <T>(make: (n: number) => T): readonly T[] => Array.from({ length: size }, (_, n) => make(n));
  const keys = each((n) => (n < joined ? [0n] : []));
  const pairs = (own: number) =>
    each((other) => (own < joined && other < joined && own !== other ? RESTING_PAIR : NO_PAIR));
  return {
    epoch: STEADY,
    statements: keys,
    reports: each(() => undefined),
    gateways: each((n) => ({ isAway: false, epoch: STEADY, statements: keys, keys: keys[n] ?? [], pairs: pairs(n) })),
    opensLeft: opens,
    abortsLeft: aborts,
  };
}

const NO_PAIR: Pair = { built: [], sendsOn: undefined, heard: undefined, ready: [] };
const RESTING_PAIR: Pair = { built: [0n], sendsOn: 0n, heard: undefined, ready: [] };

/** Says which live pair cannot talk: what one sends is of an epoch for which the other has no peer. */
export function brokenPair({ gateways }: World): string | undefined {
  for (const [own, gateway] of gateways.entries()) {
    for (const [other, { sendsOn }] of gateway.pairs.entries()) {
      const far = at(gateways, other);
      const back = at(far.pairs, own);
      if (own === other || gateway.isAway || far.isAway || sendsOn === undefined || back.sendsOn === undefined)
        continue;
      if (!back.built.includes(sendsOn)) return `${own} sends to ${other} on ${sendsOn}`;
    }
  }
  return undefined;
}

export function at<T>(list: readonly T[], n: number): T {
  const value = list[n];
  if (value === undefined) throw new RangeError(`no ${n} in a list of ${list.length}`);
  return value;
}
