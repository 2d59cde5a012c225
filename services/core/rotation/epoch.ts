/**
 * @module The epoch record as a state machine: the only writer is the hub's leader, and it writes one step at a time.
 *
 *     steady --open--> open --close--> closing --settle--> steady
 *                       | abort
 *                       v
 *                     aborted --open--> open
 *
 * The number of an aborted epoch is burnt: its key may be known to others, and no number ever names two keys.
 */
import { planeOfEpoch } from "../desired/lane.ts";

export type EpochState = "steady" | "open" | "closing" | "aborted";

export interface EpochView {
  /** Everybody has a key for it, joiners in mid-rotation excepted. */
  readonly active: bigint;
  /** On the other plane. Absent only in `steady`. */
  readonly opening: bigint | undefined;
  readonly state: EpochState;
  /** Of the record: grows with each step, so that two sides can compare what they have seen. */
  readonly generation: bigint;
}

/** The epoch on which everybody should send as soon as the pair can. */
export function targetEpoch({ active, opening, state }: Omit<EpochView, "generation">): bigint {
  return opening !== undefined && (state === "open" || state === "closing") ? opening : active;
}

/** Epochs for which a gateway that lacks the key makes one: never one that is about to go. */
export function openEpochs({ active, opening, state }: Omit<EpochView, "generation">): readonly bigint[] {
  if (opening === undefined || state === "steady" || state === "aborted") return [active];
  return state === "closing" ? [opening] : [active, opening];
}

/** Epochs whose plane is theirs. */
export function namedEpochs({ active, opening }: Pick<EpochView, "active" | "opening">): readonly bigint[] {
  return opening === undefined ? [active] : [active, opening];
}

export function isNamed(each: bigint, epoch: Pick<EpochView, "active" | "opening">): boolean {
  return namedEpochs(epoch).includes(each);
}

/** The next step of that name; undefined where the state has no such step. */
export function openNext(epoch: EpochView): EpochView | undefined {
  if (epoch.state === "open" || epoch.state === "closing") return undefined;
  return step(epoch, { active: epoch.active, opening: nextOpening(epoch), state: "open" });
}

export function close(epoch: EpochView): EpochView | undefined {
  return epoch.state === "open" ? step(epoch, { ...epoch, state: "closing" }) : undefined;
}

export function abort(epoch: EpochView): EpochView | undefined {
  return epoch.state === "open" ? step(epoch, { ...epoch, state: "aborted" }) : undefined;
}

export function settle(epoch: EpochView): EpochView | undefined {
  if (epoch.state !== "closing" || epoch.opening === undefined) return undefined;
  return step(epoch, { active: epoch.opening, opening: undefined, state: "steady" });
}

/** The first number that was never used on the plane that is idle. */
export function nextOpening({ active, opening }: EpochView): bigint {
  const highest = opening === undefined || opening < active ? active : opening;
  return planeOfEpoch(highest) === planeOfEpoch(active) ? highest + 1n : highest + 2n;
}

function step({ generation }: EpochView, next: Omit<EpochView, "generation">): EpochView {
  return { ...next, generation: generation + 1n };
}
