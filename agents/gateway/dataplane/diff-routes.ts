/** @module Routes of our table, and the rules that lead to it. */
import type { Route, Rule } from "@spanwire/core/desired/state";
import type { ObservedRoute } from "../kernel/port.ts";
import { areSame } from "./same-lists.ts";
import type { Planned } from "./step.ts";

/**
 * Plans what turns `present` into `wanted`. A route is replaced in its slot (destination and metric), never removed
 * and added. Routes by a nexthop in `remade` go with it. A route that we would never make is left alone, unless it has
 * the slot of a wanted one.
 */
export function diffRoutes(
  wanted: readonly Route[],
  present: readonly ObservedRoute[],
  remade: ReadonlySet<number> = new Set(),
): Planned[] {
  if (remade.size === 0 && areSame(wanted, present, isSame)) return [];
  const left = new Map(present.filter((route) => !isBy(route, remade)).map((route) => [slotOf(route), route]));
  const planned: Planned[] = [];
  const seen = new Set<string>();
  for (const route of wanted) {
    const slot = slotOf(route);
    if (seen.has(slot)) continue; // as with allowed IPs: the first has it
    seen.add(slot);
    const current = left.get(slot);
    left.delete(slot);
    if (current !== undefined && isSameRoute(current, route)) continue;
    planned.push({ step: ADD_STEP[route.target.kind], change: { kind: "replace-route", route } });
  }
  for (const route of left.values()) {
    if (route.target.kind === "other") continue;
    planned.push({ step: REMOVE_STEP[route.target.kind], change: { kind: "remove-route", route } });
  }
  return planned;
}

const ADD_STEP = { throw: "keep-local", blackhole: "blackhole", nexthop: "route", device: "route" } as const;

const REMOVE_STEP = {
  throw: "remove-keep-local",
  blackhole: "remove-blackhole",
  nexthop: "remove-route",
  device: "remove-route",
} as const;

/** Adds before it removes: without a rule the table means nothing. */
export function diffRules(wanted: readonly Rule[], present: readonly Rule[]): Planned[] {
  const [wantedKeys, presentKeys] = [wanted, present].map((rules) => new Set(rules.map(ruleKey)));
  return [
    ...wanted
      .filter((rule) => !presentKeys?.has(ruleKey(rule)))
      .map((rule): Planned => ({ step: "rule", change: { kind: "add-rule", rule } })),
    ...present
      .filter((rule) => !wantedKeys?.has(ruleKey(rule)))
      .map((rule): Planned => ({ step: "remove-rule", change: { kind: "remove-rule", rule } })),
  ];
}

function isBy({ target }: ObservedRoute, ids: ReadonlySet<number>): boolean {
  return target.kind === "nexthop" && ids.has(target.id);
}

function slotOf({ table, destination, metric }: ObservedRoute): string {
  return `${table} ${destination} ${metric}`;
}

function isSame(a: Route, b: ObservedRoute): boolean {
  return a.destination === b.destination && a.metric === b.metric && a.table === b.table && isSameRoute(b, a);
}

/** In one slot. */
function isSameRoute(a: ObservedRoute, b: Route): boolean {
  return a.mtuBytes === b.mtuBytes && isSameTarget(a.target, b.target);
}

function isSameTarget(a: ObservedRoute["target"], b: Route["target"]): boolean {
  if (a.kind === "nexthop") return b.kind === "nexthop" && a.id === b.id && a.source === b.source;
  if (a.kind === "device") return b.kind === "device" && a.device === b.device && a.source === b.source;
  return a.kind === b.kind;
}

function ruleKey({ family, priority, notFwmark, table }: Rule): string {
  return `${family} ${priority} ${notFwmark.mark} ${notFwmark.mask} ${table}`;
}
