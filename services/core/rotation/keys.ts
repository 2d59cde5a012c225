/** @module Which WireGuard keys of its own a gateway makes, and which it destroys. */
import { planeOfEpoch } from "../desired/lane.ts";
import { type EpochView, openEpochs } from "./epoch.ts";

export interface KeysView {
  /** Epochs whose key is on disk. */
  readonly held: readonly bigint[];
  /** Epochs of which some pair has a peer in the kernel. */
  readonly inUse: readonly bigint[];
}

export interface KeysWish {
  readonly make: readonly bigint[];
  readonly destroy: readonly bigint[];
}

/**
 * A key is destroyed when no step of the record names it and no pair needs it, and made only where its plane is free:
 * a pair that is left on an older epoch of the plane keeps its tunnel, and the opening waits for it.
 */
export function decideKeys(epoch: EpochView, { held, inUse }: KeysView): KeysWish {
  const open = openEpochs(epoch);
  const destroy = held.filter((each) => !open.includes(each) && !inUse.includes(each));
  const occupied = held.filter((each) => !destroy.includes(each)).map(planeOfEpoch);
  const make = open.filter((each) => !held.includes(each) && !occupied.includes(planeOfEpoch(each)));
  return { make, destroy };
}
