/** @module Which gateways of a remote cluster carry what we send to it, and when it last had to be others. Pure. */
import type { Compiled } from "@spanwire/core/desired/compile";
import type { Fragment } from "@spanwire/core/desired/desired";
import { findLane } from "@spanwire/core/desired/lane";
import { ordinalOfNexthop } from "@spanwire/core/desired/nexthop-id";

export interface Path {
  readonly clusterId: string;
  /** Ordinals of the gateways that carry now, of those that we have a tunnel to. Sorted. */
  readonly active: readonly number[];
  readonly present: readonly number[];
  /** How often one was left for others although its tunnel stayed: it fell silent, or drains. */
  readonly failovers: number;
  readonly lastFailoverMs: number | undefined;
}

/** Nothing is kept for a cluster that has one gateway. */
export class Paths {
  readonly #paths = new Map<string, Path>();
  #failovers = 0;

  /** Takes each wish in; tells whether anything is carried by others than before. */
  want({ desired, changed }: Pick<Compiled, "desired" | "changed">, nowMs: number): boolean {
    let isOther = false;
    for (const id of changed) {
      const former = this.#paths.get(id);
      const { active, present } = readPath(desired.clusters.get(id));
      isOther ||= former !== undefined && former.active.join() !== active.join();
      if (present.length < 2) {
        this.#paths.delete(id);
        continue;
      }
      const isLeft = former?.active.some((ordinal) => present.includes(ordinal) && !active.includes(ordinal)) ?? false;
      if (isLeft) this.#failovers++;
      this.#paths.set(id, {
        ...{ clusterId: id, active, present },
        failovers: (former?.failovers ?? 0) + (isLeft ? 1 : 0),
        lastFailoverMs: isLeft ? nowMs : former?.lastFailoverMs,
      });
    }
    return isOther;
  }

  all(): Iterable<Path> {
    return this.#paths.values();
  }

  /** Of all clusters since the start. */
  get failovers(): number {
    return this.#failovers;
  }
}

function readPath(fragment: Fragment | undefined): Pick<Path, "active" | "present"> {
  const group = fragment?.nexthops.find(({ kind }) => kind === "group");
  const members = group?.kind === "group" ? group.members : [];
  const ordinals = fragment?.peers.map(({ device }) => findLane(device)?.remoteOrdinal) ?? [];
  return {
    active: members.map(({ id }) => ordinalOfNexthop(id)).sort(ascending),
    present: [...new Set(ordinals)].filter((ordinal) => ordinal !== undefined).sort(ascending),
  };
}

function ascending(a: number, b: number): number {
  return a - b;
}
