/** @module The firewall, which is written as a whole: its guard grows before everything and shrinks after everything. */

import { isDeepStrictEqual } from "node:util";
import type { Firewall } from "@spanwire/core/desired/state";
import { firewallDigest } from "../kernel/nft/digest.ts";
import type { ObservedFirewall } from "../kernel/port.ts";
import type { Planned } from "./step.ts";

/** What is known of the table in the kernel: it is as wanted, or this model, or something else or nothing. */
export type PresentFirewall =
  | { readonly kind: "as-wanted" }
  | { readonly kind: "known"; readonly firewall: Firewall }
  | { readonly kind: "unknown" };

/**
 * Plans at most two writes. The first has all rules as wanted and guards the former remote prefixes beside the wanted
 * ones; the second drops those that nobody wants, when nothing routes to them any more. Where nothing is new the second
 * is enough, and where the former ones are not known the first: blackholes alone then cover those that leave.
 */
export function diffFirewall(wanted: Firewall | undefined, present: PresentFirewall): Planned[] {
  // Nobody wishes a gateway without a guard; only `down` takes it away.
  if (wanted === undefined || present.kind === "as-wanted") return [];
  if (present.kind === "unknown") return [write("guard", wanted)];
  const stays = new Set(wanted.remote);
  const leaving = present.firewall.remote.filter((prefix) => !stays.has(prefix));
  if (leaving.length === 0) return [write("guard", wanted)];
  const wide = { ...wanted, remote: [...wanted.remote, ...leaving].sort() };
  const planned = [write("narrow-guard", wanted)];
  return isWithin(wide, present.firewall) ? planned : [write("guard", wide), ...planned];
}

/** Whether `former` allows and guards all that `next` does, so that there is nothing to write before the rest. */
function isWithin(next: Firewall, former: Firewall): boolean {
  const { remote: _, forward, snat, ...frame } = next;
  const { remote: __, forward: formerForward, snat: formerSnat, ...formerFrame } = former;
  const rules = new Set([...formerForward, ...formerSnat].map((rule) => JSON.stringify(rule)));
  return (
    isDeepStrictEqual(frame, formerFrame) &&
    next.remote.length === former.remote.length &&
    [...forward, ...snat].every((rule) => rules.has(JSON.stringify(rule)))
  );
}

/**
 * The kernel's answer is a digest of what was written there. `former` is what this process wrote last. `digestOf` may
 * remember.
 */
export function presentFirewall(
  wanted: Firewall | undefined,
  observed: ObservedFirewall,
  { former, digestOf = firewallDigest }: { former?: Firewall | undefined; digestOf?: typeof firewallDigest } = {},
): PresentFirewall {
  if (observed.kind !== "present" || wanted === undefined) return { kind: "unknown" };
  if (observed.digest === digestOf(wanted)) return { kind: "as-wanted" };
  const isFormer = former !== undefined && observed.digest === digestOf(former);
  return isFormer ? { kind: "known", firewall: former } : { kind: "unknown" };
}

function write(step: "guard" | "narrow-guard", firewall: Firewall): Planned {
  return { step, change: { kind: "replace-firewall", firewall } };
}
