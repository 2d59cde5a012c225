/** @module What the link policy says of one pair of clusters. */
import { type Allow, DefaultLinks, Direction, type Link, type LinkPolicy, type Selector } from "@spanwire/proto/record";

/** What selectors look at. */
export interface Party {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type PairVerdict =
  | { readonly linked: false; readonly link: string | undefined }
  | {
      readonly linked: true;
      /** Name of the link that decided; undefined for the default. */
      readonly link: string | undefined;
      /** The cluster that carries the pair's traffic; undefined for a direct link. */
      readonly transit: string | undefined;
      /** Undefined allows everything both ways. */
      readonly openings: readonly Opening[] | undefined;
    };

/** One kind of connection that `opener` may open towards the other cluster of the pair. */
export interface Opening {
  readonly opener: string;
  readonly allow: Allow;
}

/**
 * Judges a pair: the first link that matches it decides, whichever way round it matches; else the default.
 *
 * Symmetric: both ends come to the same verdict.
 */
export function judgePair(policy: LinkPolicy, a: Party, b: Party): PairVerdict {
  if (a.id === b.id) return { linked: false, link: undefined };
  for (const link of policy.links) {
    const lefts = matchingLefts(link, a, b);
    if (lefts.length > 0) return verdictOf(link, lefts, a, b);
  }
  return policy.defaultLinks === DefaultLinks.FULL_MESH
    ? { linked: true, link: undefined, transit: undefined, openings: undefined }
    : { linked: false, link: undefined };
}

/** Whether the pair is linked without another cluster between: only then do the two build tunnels. */
export function isDirect(verdict: PairVerdict): boolean {
  return verdict.linked && verdict.transit === undefined;
}

/** Whether the cluster is named or carries all labels; a selector without either matches every cluster. */
export function matchesSelector({ clusters, labels }: Selector, party: Party): boolean {
  if (clusters.includes(party.id)) return true;
  const wanted = Object.entries(labels);
  if (wanted.length === 0) return clusters.length === 0;
  return wanted.every(([key, value]) => party.labels[key] === value);
}

/** Which of the two can stand on the left; both when the selectors match either way round. */
function matchingLefts({ left, right }: Link, a: Party, b: Party): readonly string[] {
  if (left === undefined || right === undefined) return [];
  const lefts: string[] = [];
  if (matchesSelector(left, a) && matchesSelector(right, b)) lefts.push(a.id);
  if (matchesSelector(left, b) && matchesSelector(right, a)) lefts.push(b.id);
  return lefts;
}

function verdictOf(link: Link, lefts: readonly string[], a: Party, b: Party): PairVerdict {
  if (link.deny) return { linked: false, link: link.name };
  // A pair that involves the transit cluster itself is its own first hop: always direct.
  const transit = link.transit === "" || link.transit === a.id || link.transit === b.id ? undefined : link.transit;
  const openings = link.allow.flatMap((allow) => openersOf(allow, lefts, a, b).map((opener) => ({ opener, allow })));
  return { linked: true, link: link.name, transit, openings: link.allow.length === 0 ? undefined : openings };
}

/** In the order of the ids, so that both ends list the same. */
function openersOf({ direction }: Allow, lefts: readonly string[], a: Party, b: Party): readonly string[] {
  const ids = [a.id, b.id].sort();
  switch (direction) {
    case Direction.BOTH:
      return ids;
    case Direction.LEFT_TO_RIGHT:
      return ids.filter((id) => lefts.includes(id));
    case Direction.RIGHT_TO_LEFT:
      return ids.filter((id) => lefts.some((left) => left !== id));
    default:
      return []; // a direction of a later version opens nothing here
  }
}
