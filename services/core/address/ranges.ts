/** @module Which addresses belong to a cluster, for the purpose at hand. */
import type { Cidr } from "./cidr.ts";
import type { Family } from "./ip.ts";
import { type OverlayRange, overlayBlock, overlayKindRange } from "./overlay.ts";

/** What a cluster is admitted for. */
export interface Holdings {
  readonly prefixes: readonly Cidr[];
  /** Number of its overlay block. */
  readonly block: number;
}

/** Its prefixes and its overlay block: what a guard must cover, and what a policy means by all of its prefixes. */
export function ownedRanges(overlay: OverlayRange, { prefixes, block }: Holdings): readonly Cidr[] {
  return [...prefixes, overlayBlock(overlay, block, "ipv4"), overlayBlock(overlay, block, "ipv6")];
}

/** What it can be reached for through another cluster: not its plane addresses, which only its peers probe. */
export function throughRanges(
  overlay: OverlayRange,
  { prefixes, block }: Holdings,
  families: readonly Family[],
): readonly Cidr[] {
  const overlayRanges = families.flatMap((family) => [
    overlayKindRange(overlay, block, "stable", family),
    overlayKindRange(overlay, block, "service", family),
  ]);
  return [...prefixes.filter(({ family }) => families.includes(family)), ...overlayRanges];
}
