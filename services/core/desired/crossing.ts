/** @module What may cross a link, as rules for the firewall. */
import { type Cidr, formatCidr, parseCidr } from "../address/cidr.ts";
import type { PairVerdict } from "../policy/pair.ts";
import { everyTuple, type Tuple, tuplesOf } from "../policy/tuple.ts";
import type { Context } from "./context.ts";
import type { Member } from "./member.ts";
import { ownedRanges } from "./ranges.ts";
import type { Firewall, ForwardRule } from "./state.ts";

/** Rules for what passes between our own networks and a linked cluster. */
export function forwardRules(context: Context, member: Member, verdict: PairVerdict): readonly ForwardRule[] {
  const { own, overlay, carried, local } = context;
  if (!verdict.linked || own === undefined) return [];
  const ours = ownedRanges(overlay, own, carried);
  const theirs = ownedRanges(overlay, member, carried);
  // Forwarded before they are translated, so the rule sees their local addresses.
  const senders = [...ours, ...local.snat.map(parseCidr)];
  const link = pairName(own.id, member.id);
  if (verdict.openings === undefined) {
    return [...ruled(link, "out", everyTuple(senders, theirs)), ...ruled(link, "in", everyTuple(theirs, ours))];
  }
  return verdict.openings.flatMap((opening) =>
    opening.opener === own.id
      ? ruled(link, "out", tuplesOf(opening, senders, theirs))
      : ruled(link, "in", tuplesOf(opening, theirs, ours)),
  );
}

/** Rules for a pair that our cluster carries: from lane to lane. */
export function throughRules(
  context: Context,
  [a, b]: readonly [Member, Member],
  verdict: PairVerdict,
): readonly ForwardRule[] {
  if (!verdict.linked) return [];
  const { overlay, carried } = context;
  const ranges = new Map([a, b].map((member) => [member.id, ownedRanges(overlay, member, carried)]));
  const of = (id: string): readonly Cidr[] => ranges.get(id) ?? [];
  const link = pairName(a.id, b.id);
  if (verdict.openings === undefined) {
    return [
      ...ruled(link, "through", everyTuple(of(a.id), of(b.id))),
      ...ruled(link, "through", everyTuple(of(b.id), of(a.id))),
    ];
  }
  return verdict.openings.flatMap((opening) => {
    const other = opening.opener === a.id ? b.id : a.id;
    return ruled(link, "through", tuplesOf(opening, of(opening.opener), of(other)));
  });
}

/** Translates the hosts that asked for it to our stable address: fixed, so that a plane flip keeps connections. */
export function snatRules({ overlay, carried, local, sources }: Context, member: Member): Firewall["snat"] {
  if (sources === undefined || local.snat.length === 0) return [];
  const destinations = ownedRanges(overlay, member, carried);
  return local.snat.map(parseCidr).flatMap((hosts) =>
    destinations
      .filter(({ family }) => family === hosts.family)
      .map((each) => ({
        source: formatCidr(hosts),
        destination: formatCidr(each),
        to: sources.stable[hosts.family],
      })),
  );
}

/** "eu~us": the same from both ends. */
export function pairName(a: string, b: string): string {
  return a < b ? `${a}~${b}` : `${b}~${a}`;
}

function ruled(link: string, direction: ForwardRule["direction"], tuples: readonly Tuple[]): readonly ForwardRule[] {
  return tuples.map((tuple) => ({ link, direction, ...tuple }));
}
