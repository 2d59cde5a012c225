/** @module Which prefixes a cluster may announce. */
import { type Cidr, compareCidrs, overlaps, readCidr } from "../address/cidr.ts";
import { parseOverlay } from "../address/overlay.ts";
import { findReservation } from "../address/reserved.ts";
import { type Refused, refuse } from "./refusal.ts";
import type { Registry } from "./registry.ts";

export type JudgedPrefixes = { readonly ok: true; readonly prefixes: readonly string[] } | Refused;

/** As many as a request may carry. */
export const MAX_PREFIXES = 256;

/** Judges what `clusterId` wants to announce in place of what it announces now; gives canonical prefixes, sorted. */
export function judgePrefixes(registry: Registry, clusterId: string, texts: readonly string[]): JudgedPrefixes {
  if (texts.length > MAX_PREFIXES) {
    const message = `cluster "${clusterId}" announces ${texts.length} prefixes: at most ${MAX_PREFIXES}; merge some`;
    return refuse("TOO_MANY_PREFIXES", message);
  }
  const overlay = parseOverlay(registry.mesh);
  const wanted: Cidr[] = [];
  for (const text of texts) {
    const read = readCidr(text);
    if (!read.ok) return refuse("INVALID_PREFIX", read.problem);
    const why = findReservation(read.cidr, overlay);
    if (why !== undefined) return refuse("RESERVED_PREFIX", `prefix ${read.cidr.text} is not admitted: ${why}`);
    wanted.push(read.cidr);
  }
  wanted.sort(compareCidrs);
  return findOwnOverlap(clusterId, wanted) ?? findOtherOverlap(registry, clusterId, wanted) ?? admitted(wanted);
}

/** Sorted, an overlapping prefix follows the one that contains it. */
function findOwnOverlap(clusterId: string, wanted: readonly Cidr[]): Refused | undefined {
  for (const [index, prefix] of wanted.entries()) {
    const next = wanted[index + 1];
    if (next === undefined || !overlaps(prefix, next)) continue;
    const both = `prefixes ${prefix.text} and ${next.text} of cluster "${clusterId}" overlap`;
    return refuse("PREFIX_OVERLAP", `${both}: announce ${prefix.text} only`);
  }
  return undefined;
}

function findOtherOverlap(registry: Registry, clusterId: string, wanted: readonly Cidr[]): Refused | undefined {
  for (const admission of registry.admissions.values()) {
    if (admission.clusterId === clusterId) continue;
    for (const held of registry.prefixesOf(admission)) {
      const prefix = wanted.find((each) => overlaps(each, held));
      if (prefix === undefined) continue;
      const message = `prefix ${prefix.text} of cluster "${clusterId}" overlaps ${held.text} of cluster "${admission.clusterId}"`;
      return refuse("PREFIX_OVERLAP", message);
    }
  }
  return undefined;
}

function admitted(wanted: readonly Cidr[]): JudgedPrefixes {
  return { ok: true, prefixes: wanted.map(({ text }) => text) };
}

/** Whether both lists name the same prefixes, in any order and spelling. */
export function sameAnnouncement(texts: readonly string[], admittedTexts: readonly string[]): boolean {
  const canonical = new Set(texts.map((text) => canonicalText(text)));
  return canonical.size === admittedTexts.length && admittedTexts.every((text) => canonical.has(text));
}

function canonicalText(text: string): string {
  const read = readCidr(text);
  return read.ok ? read.cidr.text : text;
}
