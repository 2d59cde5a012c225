/** @module The epoch record as the deciding functions see it, and back. */
import { type Epoch, EpochState } from "@spanwire/proto/record";
import { planeOfEpoch } from "../desired/lane.ts";
import type { EpochView, EpochState as StateName } from "./epoch.ts";

/**
 * `generation` is the record's. An opening epoch on the active one's plane could only take its lanes away, and a state
 * of a later version is not understood: neither is obeyed.
 */
export function readEpoch({ active, opening, state }: Epoch, generation: bigint): EpochView {
  const name = NAMES[state];
  if (name === undefined || opening === undefined || planeOfEpoch(opening) === planeOfEpoch(active)) {
    return { active, opening: undefined, state: "steady", generation };
  }
  return { active, opening, state: name, generation };
}

/** What the next record says; `request` names the one that it obeys. */
export function writeEpoch({ active, opening, state }: EpochView, request: string) {
  return { active, ...(opening === undefined ? {} : { opening }), state: STATES[state], request };
}

const STATES = {
  steady: EpochState.STEADY,
  open: EpochState.OPEN,
  closing: EpochState.CLOSING,
  aborted: EpochState.ABORTED,
} as const satisfies Readonly<Record<StateName, EpochState>>;

/** Of those that name an opening epoch. */
const NAMES: Readonly<Partial<Record<EpochState, StateName>>> = {
  [EpochState.OPEN]: "open",
  [EpochState.CLOSING]: "closing",
  [EpochState.ABORTED]: "aborted",
};
