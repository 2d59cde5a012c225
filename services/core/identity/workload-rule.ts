/**
 * @module Whom a cluster's workload tokens are for: which claims a verified one must hold, and which gateway they name.
 * Claims are named by JSON pointers (RFC 6901), because names like `kubernetes.io` hold dots.
 */

export interface WorkloadRule {
  /** The only `sub`. */
  readonly subject: string;
  /** Further claims that must be exactly so, by pointer. */
  readonly claims: Readonly<Record<string, string>>;
  /** The gateway's ordinal: always the same one, or the number that ends a claim ("gateway-1"). */
  readonly ordinal: { readonly fixed: number } | { readonly pointer: string };
  /** The claim that tells one instance of the workload from the next at the same ordinal, such as a pod's uid. */
  readonly instancePointer: string;
}

/** How Kubernetes binds a token to the pod of a StatefulSet. */
export const POD_NAME = "/kubernetes.io/pod/name";
export const POD_UID = "/kubernetes.io/pod/uid";

/** A rule for the pods of a StatefulSet that run as this ServiceAccount. */
export function kubernetesRule(namespace: string, serviceAccount: string): WorkloadRule {
  return {
    subject: `system:serviceaccount:${namespace}:${serviceAccount}`,
    claims: {},
    ordinal: { pointer: POD_NAME },
    instancePointer: POD_UID,
  };
}

export type WorkloadVerdict =
  | { readonly ok: true; readonly ordinal: number; readonly instance: string }
  | { readonly ok: false; readonly reason: WorkloadFault; readonly message: string };

export type WorkloadFault = "WORKLOAD_WRONG_SUBJECT" | "WORKLOAD_WRONG_CLAIM" | "WORKLOAD_CLAIM_MISSING";

const MAX_INSTANCE_LENGTH = 256;

/** Judges the claims of a token whose signature, audience and times are good already. */
export function judgeWorkload(rule: WorkloadRule, payload: unknown): WorkloadVerdict {
  const subject = findClaim(payload, "/sub");
  if (subject !== rule.subject) {
    return refuse(
      "WORKLOAD_WRONG_SUBJECT",
      `is for "${shown(subject)}", and the cluster's gateways are "${rule.subject}"`,
    );
  }
  for (const [pointer, value] of Object.entries(rule.claims)) {
    if (findClaim(payload, pointer) !== value) {
      return refuse("WORKLOAD_WRONG_CLAIM", `its claim ${pointer} is not "${value}"`);
    }
  }
  const instance = findClaim(payload, rule.instancePointer);
  if (typeof instance !== "string" || instance === "" || instance.length > MAX_INSTANCE_LENGTH) {
    return missing(rule.instancePointer);
  }
  if ("fixed" in rule.ordinal) return { ok: true, ordinal: rule.ordinal.fixed, instance };
  const name = findClaim(payload, rule.ordinal.pointer);
  if (name === undefined) return missing(rule.ordinal.pointer);
  const ordinal = /^(?:.*-)?(0|[1-9]\d?)$/.exec(String(name))?.[1];
  if (ordinal !== undefined) return { ok: true, ordinal: Number(ordinal), instance };
  return refuse(
    "WORKLOAD_WRONG_CLAIM",
    `its claim ${rule.ordinal.pointer}, "${shown(name)}", does not end in an ordinal: gateways are pods of a StatefulSet`,
  );
}

/** The value at a JSON pointer; undefined where there is none. Only own properties count. */
export function findClaim(payload: unknown, pointer: string): unknown {
  let value = payload;
  for (const part of pointer.split("/").slice(1)) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = Object.getOwnPropertyDescriptor(value, name)?.value;
  }
  return value;
}

function missing(pointer: string): WorkloadVerdict {
  const how = pointer.startsWith("/kubernetes.io/pod/") ? ": project it into the gateway's pod, which binds it" : "";
  return refuse("WORKLOAD_CLAIM_MISSING", `has no claim ${pointer}${how}`);
}

function refuse(reason: WorkloadFault, message: string): WorkloadVerdict {
  return { ok: false, reason, message };
}

/** Claims are the caller's text, also where the signature is good. */
function shown(value: unknown): string {
  return String(value).slice(0, 128);
}
