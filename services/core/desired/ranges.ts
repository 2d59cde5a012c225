/** @module Which addresses belong to a cluster, for the purpose at hand. */
import type { Cidr } from "../address/cidr.ts";
import type { Family } from "../address/ip.ts";
import { type OverlayRange, overlayBlock, overlayKindRange } from "../address/overlay.ts";
import type { Member } from "./member.ts";

/** Its prefixes and its overlay block: what a policy means by all of its prefixes, and what a guard must cover. */
export function ownedRanges(
  overlay: OverlayRange,
  { prefixes, block }: Member,
  families: readonly Family[],
): readonly Cidr[] {
  return [...prefixes, ...families.map((family) => overlayBlock(overlay, block, family))].filter(({ family }) =>
    families.includes(family),
  );
}

/** What it can be reached for through another cluster: not its plane addresses, which only its peers probe. */
export function throughRanges(
  overlay: OverlayRange,
  { prefixes, block }: Member,
  families: readonly Family[],
): readonly Cidr[] {
  const overlayRanges = families.flatMap((family) => [
    overlayKindRange(overlay, block, "stable", family),
    overlayKindRange(overlay, block, "service", family),
  ]);
  return [...prefixes, ...overlayRanges].filter(({ family }) => families.includes(family));
}
