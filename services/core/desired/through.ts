/** @module What our own cluster carries for others: the pairs whose link names it as transit. */
import { judgePair, matchesSelector } from "../policy/pair.ts";
import type { Context } from "./context.ts";
import { throughRules } from "./crossing.ts";
import type { Member } from "./member.ts";
import type { ForwardRule } from "./state.ts";

/** Whether any link names our cluster as transit: only then do other pairs matter to us. */
export function isCarrier({ policy, own }: Context): boolean {
  return own !== undefined && policy.links.some(({ transit }) => transit === own.id);
}

/** Rules for every pair that we carry. Quadratic in the clusters that such a link matches. */
export function carriedPairRules(context: Context, members: readonly Member[]): readonly ForwardRule[] {
  const { policy, own, isAdmitted } = context;
  if (own === undefined || !isAdmitted) return [];
  const links = policy.links.filter(({ transit }) => transit === own.id);
  const concerned = members.filter((member) =>
    links.some(({ left, right }) => [left, right].some((side) => side !== undefined && matchesSelector(side, member))),
  );
  return concerned.flatMap((a, i) =>
    concerned.slice(i + 1).flatMap((b) => {
      const verdict = judgePair(policy, a, b);
      return verdict.linked && verdict.transit === own.id ? throughRules(context, [a, b], verdict) : [];
    }),
  );
}
