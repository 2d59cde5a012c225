/**
 * @module One gateway's decision about one other: which peers it holds for it, and on which epoch it sends to it.
 *
 * Each side decides for itself. No moment needs both, because both planes accept both directions until the pair is done.
 */
import { planeOfEpoch } from "../desired/lane.ts";
import { type EpochView, isNamed, namedEpochs, targetEpoch } from "./epoch.ts";

/** What this gateway has (kernel, disk, map) and what the last probe of the other said. */
export interface PairView {
  /** Epochs for which both sides have published a key: peers that can be built. */
  readonly common: readonly bigint[];
  /** Epochs whose peer is in the kernel. */
  readonly built: readonly bigint[];
  /** Where our packets to it go; undefined before the first peer. */
  readonly sendsOn: bigint | undefined;
  /** Epochs on which the handshake was seen and the probe passed both ways at the pair's MTU. */
  readonly ready: readonly bigint[];
  readonly heard: Heard | undefined;
  /** Whether for the drain time no forwarded packet has come by a plane other than the one we send on. */
  readonly quiet: boolean;
  /** Whether anything was heard from it for as long as a gateway may be silent without counting as away. */
  readonly isAlive: boolean;
}

/** Of the last probe, by its sequence number: a late one is dropped before it comes here. */
export interface Heard {
  readonly sendsOn: bigint;
  /** Of the epoch record that the other had obeyed when it said so. */
  readonly generation: bigint;
}

export interface PairWish {
  /** Peers to hold, ascending. */
  readonly build: readonly bigint[];
  readonly sendOn: bigint | undefined;
  readonly phase: PairPhase;
}

/**
 * waiting: no peer for the target yet. building: its peer is there, not yet proven. ready: proven, not yet ours to
 * send on. flipped: we send on it. drained: so does the other, and nothing comes by the old. done: only it is left.
 */
export type PairPhase = "waiting" | "building" | "ready" | "flipped" | "drained" | "done";

export function decidePair(epoch: EpochView, pair: PairView): PairWish {
  const target = targetEpoch(epoch);
  const isSettled = bothSendOn(pair, epoch);
  const kept = pair.built.filter(
    (each) => !(isSettled && isSpent(each, pair.sendsOn, epoch)) && (pair.isAlive || !isRecycled(each, epoch)),
  );
  const build = [...new Set([...kept, ...wantedEpochs(epoch, pair.common)])].sort((a, b) => (a < b ? -1 : 1));
  return { build, sendOn: chooseSending(epoch, pair), phase: phaseOf(target, pair, isSettled) };
}

/** What is proven: the target, then what the record names, then where we are. While nothing is, no change. */
function chooseSending(epoch: EpochView, { built, ready, sendsOn }: PairView): bigint | undefined {
  const best = [targetEpoch(epoch), epoch.active, epoch.opening, sendsOn, ...built];
  const usable = best.find((each) => each !== undefined && built.includes(each) && ready.includes(each));
  if (usable !== undefined) return usable;
  return sendsOn !== undefined && built.includes(sendsOn)
    ? sendsOn
    : best.find((each) => built.some((one) => one === each));
}

/** While a rotation is open both epochs; else the target, or whatever there is where the other lacks a key for it. */
export function wantedEpochs(epoch: Omit<EpochView, "generation">, common: readonly bigint[]): readonly bigint[] {
  if (epoch.state === "open") return common.filter((each) => isNamed(each, epoch));
  const target = targetEpoch(epoch);
  return common.includes(target) ? [target] : common;
}

/**
 * Whether the pair has settled on one epoch: both send on it, the other as one that has seen the step that we obey
 * (else it may still turn back to what we take away), and nothing comes by any other.
 */
function bothSendOn({ sendsOn, heard, quiet, built }: PairView, { generation }: EpochView): boolean {
  if (sendsOn === undefined || !built.includes(sendsOn) || !quiet) return false;
  return heard !== undefined && heard.sendsOn === sendsOn && heard.generation >= generation;
}

/** Whether a pair that has settled needs an epoch no more: until the record closes or is aborted, it needs both. */
function isSpent(each: bigint, settledOn: bigint | undefined, epoch: EpochView): boolean {
  if (each === settledOn) return false;
  return !isNamed(each, epoch) || (epoch.state !== "open" && settledOn === targetEpoch(epoch));
}

/** Whether the record has given its plane to another epoch: one that was away for so long has lost its tunnel. */
function isRecycled(each: bigint, epoch: EpochView): boolean {
  return namedEpochs(epoch).some((named) => named !== each && planeOfEpoch(named) === planeOfEpoch(each));
}

function phaseOf(target: bigint, { built, ready, sendsOn }: PairView, isSettled: boolean): PairPhase {
  if (!built.includes(target)) return "waiting";
  if (sendsOn !== target) return ready.includes(target) ? "ready" : "building";
  if (!isSettled) return "flipped";
  return built.length > 1 ? "drained" : "done";
}
