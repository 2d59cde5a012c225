/** @module What may cross a link, as rules for the firewall. */
import { type Cidr, parseCidr } from "../address/cidr.ts";
import { ownedRanges } from "../address/ranges.ts";
import type { PairVerdict } from "../policy/pair.ts";
import { everyTuple, tuplesOf } from "../policy/tuple.ts";
import type { Context } from "./context.ts";
import type { Member } from "./member.ts";
import { trimmed } from "./reuse.ts";
import type { Firewall, ForwardRule } from "./state.ts";

/** Rules for what passes between our own networks and a linked cluster with these ranges. */
export function forwardRules(
  context: Context,
  remote: { readonly id: string; readonly owned: readonly Cidr[] },
  verdict: PairVerdict,
): readonly ForwardRule[] {
  const { own, ownRanges, local } = context;
  if (own === undefined) return [];
  // Hosts that are translated are forwarded before that, so the rule sees their local addresses.
  const ours = { ...sideOf(context, own.id, ownRanges), translated: local.snat.map(parseCidr) };
  const theirs = sideOf(context, remote.id, remote.owned);
  return rulesBetween([ours, theirs], verdict, (opener) => (opener === own.id ? "out" : "in"));
}

/** Rules for a pair that our cluster carries: from lane to lane. */
export function throughRules(
  context: Context,
  [a, b]: readonly [Member, Member],
  verdict: PairVerdict,
): readonly ForwardRule[] {
  const side = (member: Member) => sideOf(context, member.id, ownedRanges(context.overlay, member));
  return rulesBetween([side(a), side(b)], verdict, () => "through");
}

/** Translates the hosts that asked for it to our stable address: fixed, so that a plane flip keeps connections. */
export function snatRules({ carried, local, sources }: Context, destinations: readonly Cidr[]): Firewall["snat"] {
  if (sources === undefined) return [];
  return local.snat
    .map(parseCidr)
    .flatMap((hosts) =>
      destinations
        .filter(({ family }) => family === hosts.family && carried.includes(family))
        .map(({ text }) => ({ source: hosts.text, destination: text, to: sources.stable[hosts.family] })),
    );
}

interface Side {
  readonly id: string;
  readonly owned: readonly Cidr[];
  /** Local networks whose hosts may open connections and are translated on their way out. */
  readonly translated: readonly Cidr[];
}

function sideOf({ carried }: Context, id: string, owned: readonly Cidr[]): Side {
  return { id, owned: owned.filter(({ family }) => carried.includes(family)), translated: [] };
}

function rulesBetween(
  [a, b]: readonly [Side, Side],
  verdict: PairVerdict,
  directionOf: (opener: string) => ForwardRule["direction"],
): readonly ForwardRule[] {
  if (!verdict.linked) return [];
  const link = a.id < b.id ? `${a.id}~${b.id}` : `${b.id}~${a.id}`;
  const openings = verdict.openings ?? [{ opener: a.id }, { opener: b.id }];
  const rules = openings.flatMap(({ opener, ...opening }) => {
    const [from, to] = opener === a.id ? [a, b] : [b, a];
    const senders = [...from.owned, ...from.translated];
    const tuples = "allow" in opening ? tuplesOf(opening.allow, senders, to.owned) : everyTuple(senders, to.owned);
    const direction = directionOf(opener);
    return tuples.map(({ source, destination, protocol, ports }) => {
      return { link, direction, source, destination, protocol, ports };
    });
  });
  return trimmed(rules);
}
