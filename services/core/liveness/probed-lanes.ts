/** @module Which lanes are probed: those on which a peer is wanted, from our address on the plane to the other's. */
import type { Fragment } from "../desired/desired.ts";
import { findLane } from "../desired/lane.ts";
import type { Plane } from "../desired/state.ts";

export interface ProbedLane {
  /** The remote gateway, as in `Liveness`: "us.0". */
  readonly gateway: string;
  readonly plane: Plane;
  /** Our address on the plane, and its. IPv4: every lane carries it, and what it says holds for IPv6 as well. */
  readonly from: string;
  readonly to: string;
}

/** Reads what is wanted for one remote cluster: its routes by device, which never flip, are there for probes. */
export function probedLanes(clusterId: string, { routes }: Pick<Fragment, "routes">): readonly ProbedLane[] {
  return routes.flatMap(({ destination, target }): ProbedLane[] => {
    const to = /^([\d.]+)\/32$/.exec(destination)?.[1];
    const lane = target.kind === "device" ? findLane(target.device) : undefined;
    if (to === undefined || target.kind !== "device" || lane === undefined) return [];
    return [{ gateway: `${clusterId}.${lane.remoteOrdinal}`, plane: lane.plane, from: target.source, to }];
  });
}
