/** @module The remote prefixes as nft can hold them, and which of them another prefix lies in. */
import { type Cidr, compareCidrs, containsCidr, parseCidr } from "@spanwire/core/address/cidr";

export interface RemotePrefixes {
  /** In order of address, without those that another one covers: nft refuses intervals that overlap. */
  readonly prefixes: readonly string[];
  /** The one that contains this prefix. */
  find(prefix: string): string | undefined;
}

export function remotePrefixes(texts: readonly string[]): RemotePrefixes {
  const kept: { readonly text: string; readonly cidr: Cidr }[] = [];
  const all = texts.map((text) => ({ text, cidr: parseCidr(text) })).sort((a, b) => compareCidrs(a.cidr, b.cidr));
  for (const entry of all) {
    const last = kept.at(-1); // the shorter of two with the same base comes first, so only the last can cover
    if (last === undefined || !containsCidr(last.cidr, entry.cidr)) kept.push(entry);
  }
  return {
    prefixes: kept.map(({ text }) => text),
    find: (prefix) => {
      const cidr = parseCidr(prefix);
      const candidate = kept[lastNotAfter(kept, cidr)];
      return candidate !== undefined && containsCidr(candidate.cidr, cidr) ? candidate.text : undefined;
    },
  };
}

/** The index of the last entry that does not come after `cidr`; -1 when all do. */
function lastNotAfter(sorted: readonly { readonly cidr: Cidr }[], cidr: Cidr): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = sorted[middle];
    if (entry !== undefined && compareCidrs(entry.cidr, cidr) <= 0) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
