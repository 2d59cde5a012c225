/** @module Nexthop objects and groups of them. */
import type { Nexthop } from "@spanwire/core/desired/state";
import type { ObservedNexthop } from "../kernel/port.ts";
import { areSame } from "./same-lists.ts";
import type { Planned } from "./step.ts";

export interface NexthopPlan {
  readonly planned: readonly Planned[];
  /** Ids that are made anew: the kernel takes their routes away with the former object. */
  readonly remade: ReadonlySet<number>;
}

/**
 * Plans what turns `present` into `wanted`. A replaced object keeps its routes and its place in groups, so a plane
 * flip is one change. Only what the kernel cannot replace (a group of another type or size, an object of another kind)
 * is removed and made anew. What is in our range, wanted by nobody and none that we would make stays.
 */
export function diffNexthops(wanted: readonly Nexthop[], present: readonly ObservedNexthop[]): NexthopPlan {
  if (areSame(wanted, present, (a, b) => a.id === b.id && canReplace(b, a) && isSame(b, a))) return NOTHING;
  const left = new Map(present.map((nexthop) => [nexthop.id, nexthop]));
  const planned: Planned[] = [];
  const remade = new Set<number>();
  for (const nexthop of byKind(wanted)) {
    const current = left.get(nexthop.id);
    left.delete(nexthop.id);
    const isRemade = current !== undefined && !canReplace(current, nexthop);
    if (isRemade) {
      planned.push({ step: "nexthop", change: { kind: "remove-nexthop", id: nexthop.id } });
      remade.add(nexthop.id);
    } else if (hasMemberOf(nexthop, remade)) {
      remade.add(nexthop.id); // a group whose last member goes is deleted with it
    } else if (current !== undefined && isSame(current, nexthop)) continue;
    planned.push({
      step: nexthop.kind === "group" ? "group" : "nexthop",
      change: { kind: "replace-nexthop", nexthop },
    });
  }
  for (const { id, kind } of left.values()) {
    if (kind === "other") continue;
    planned.push({
      step: kind === "group" ? "remove-group" : "remove-nexthop",
      change: { kind: "remove-nexthop", id },
    });
  }
  return { planned, remade };
}

const NOTHING: NexthopPlan = { planned: [], remade: new Set() };

/** Devices first: whether a group has to be written again depends on them. */
function byKind(nexthops: readonly Nexthop[]): readonly Nexthop[] {
  return [...nexthops.filter(({ kind }) => kind === "device"), ...nexthops.filter(({ kind }) => kind === "group")];
}

function canReplace(current: ObservedNexthop, next: Nexthop): boolean {
  if (current.kind === "device") return next.kind === "device" && current.family === next.family;
  if (current.kind === "group") return next.kind === "group" && current.resilientBuckets === next.resilientBuckets;
  return false;
}

function isSame(current: ObservedNexthop, next: Nexthop): boolean {
  if (next.kind === "device") return current.kind === "device" && current.device === next.device;
  return current.kind === "group" && areSame(byId(current), byId(next), isSameMember);
}

type Group = Extract<Nexthop, { kind: "group" }>;
type GroupMember = Group["members"][number];

/** Most groups have one member, and those of several are few. */
function byId({ members }: Group): readonly GroupMember[] {
  return members.length < 2 ? members : members.toSorted((a, b) => a.id - b.id);
}

function isSameMember(a: GroupMember, b: GroupMember): boolean {
  return a.id === b.id && a.weight === b.weight;
}

function hasMemberOf(nexthop: Nexthop, ids: ReadonlySet<number>): boolean {
  return nexthop.kind === "group" && nexthop.members.some(({ id }) => ids.has(id));
}
