/** @module An admission, read once: prefixes as numbers, what cannot be used left out and said. */
import type { Admission, AdmittedGateway } from "@spanwire/proto/record";
import { type Cidr, compareCidrs, readCidr } from "../address/cidr.ts";
import { type OverlayRange, overlayCapacity } from "../address/overlay.ts";
import type { Condition } from "./condition.ts";
import { trimmed } from "./reuse.ts";

export interface Member {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Number of its overlay block; also what its nexthop ids are derived from. */
  readonly block: number;
  readonly prefixes: readonly Cidr[];
  /** By ordinal, ordinals within the mesh's limit only. */
  readonly gateways: readonly AdmittedGateway[];
  readonly conditions: readonly Condition[];
}

export interface MemberLimits {
  readonly overlay: OverlayRange;
  readonly maxGateways: number;
}

/** Undefined when the overlay has no such block: then nothing of the cluster can be addressed. */
export function findMember(admission: Admission, { overlay, maxGateways }: MemberLimits): Member | undefined {
  if (admission.overlayIndex >= overlayCapacity(overlay)) return undefined;
  const conditions: Condition[] = [];
  const prefixes: Cidr[] = [];
  for (const text of admission.prefixes) {
    const read = readCidr(text);
    if (read.ok) prefixes.push(read.cidr);
    else conditions.push(unusable(admission.clusterId, `${read.problem}; the prefix is left out`));
  }
  const within = admission.gateways.filter(({ ordinal }) => ordinal < maxGateways);
  return {
    id: admission.clusterId,
    labels: admission.labels,
    block: admission.overlayIndex,
    prefixes: trimmed(prefixes.sort(compareCidrs)),
    gateways: trimmed(within.sort((a, b) => a.ordinal - b.ordinal)),
    conditions,
  };
}

export function unusable(clusterId: string, problem: string): Condition {
  return { type: "UnusableRecord", subject: `cluster ${clusterId}`, message: `admission of ${clusterId}: ${problem}` };
}
