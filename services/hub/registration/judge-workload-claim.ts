/** @module Whether a workload's token still lets it in, after what joined at its ordinal before. Pure. */
import { equalBytes } from "@spanwire/core/records/digest";
import type { Reason } from "../refusal.ts";

/** Who has joined at an ordinal of a cluster by a workload's token: one identity for each instance. */
export interface WorkloadClaim {
  /** What tells one instance from the next: a pod's uid. */
  readonly instance: string;
  readonly identityKey: Uint8Array;
  /** `iat` of the first token that the instance showed, in seconds. */
  readonly issuedAtS: number;
  /** When the gateway was revoked or left; the instance never comes back. */
  readonly revokedAtMs?: number | undefined;
}

export type WorkloadShown = Pick<WorkloadClaim, "instance" | "identityKey" | "issuedAtS">;

export type ClaimVerdict =
  | { readonly kind: "claimed" }
  /** To be written before anything else is done. */
  | { readonly kind: "claim"; readonly claim: WorkloadClaim }
  | { readonly kind: "refused"; readonly reason: Reason; readonly message: string };

/**
 * Judges a verified token against the claim of its ordinal. The first identity of an instance is its only one, so that a
 * stolen token is of no use beside its pod. Another instance supersedes: its first token is younger than any that its
 * predecessor ever had, because Kubernetes gives tokens to living pods only, and a name is one pod's at a time.
 */
export function judgeWorkloadClaim(
  claim: WorkloadClaim | undefined,
  shown: WorkloadShown,
  gateway: string,
): ClaimVerdict {
  const { instance, identityKey, issuedAtS } = shown;
  const ours: ClaimVerdict = { kind: "claim", claim: { instance, identityKey, issuedAtS } };
  if (claim === undefined) return ours;
  const [, clusterId = "", ordinal = ""] = /^(.*)\.(\d+)$/.exec(gateway) ?? [];
  if (claim.instance !== instance) {
    if (issuedAtS >= claim.issuedAtS) return ours;
    return refuse("WORKLOAD_SUPERSEDED", `gateway ${gateway}: a younger instance has taken its place: end this one`);
  }
  if (claim.revokedAtMs !== undefined) {
    const message = `gateway ${gateway}: this instance was revoked or has left: delete its pod, and the next one may join`;
    return refuse("WORKLOAD_REVOKED", message);
  }
  if (equalBytes(claim.identityKey, identityKey)) return { kind: "claimed" };
  const how = `delete its pod, or create a token with: spanwire token create ${clusterId} --ordinal ${ordinal}`;
  return refuse(
    "WORKLOAD_ALREADY_JOINED",
    `gateway ${gateway}: this instance has joined with another identity: ${how}`,
  );
}

function refuse(reason: Reason, message: string): ClaimVerdict {
  return { kind: "refused", reason, message };
}
