/** @module Why something is not admitted: a closed set of stable reasons, each with the error code it stands for. */
import type { ErrorCode } from "../errors.ts";

export const ADMISSION_REASONS = {
  INVALID_PREFIX: "invalid",
  RESERVED_PREFIX: "invalid",
  TOO_MANY_PREFIXES: "exhausted",
  PREFIX_OVERLAP: "conflict",
  PREFIXES_DIFFER: "conflict",
  LABELS_DIFFER: "conflict",
  KIND_DIFFERS: "conflict",
  OVERLAY_FULL: "exhausted",
  ORDINAL_OUT_OF_RANGE: "invalid",
  ORDINAL_TAKEN: "conflict",
  NO_FREE_ORDINAL: "exhausted",
  IDENTITY_IN_USE: "conflict",
  NKEY_IN_USE: "conflict",
  NKEY_REVOKED: "denied",
  CLUSTER_NOT_FOUND: "not-found",
  GATEWAY_NOT_FOUND: "not-found",
  GENERATION_CHANGED: "conflict",
  UNKNOWN_GATEWAY: "denied",
  STALE_ORDER: "conflict",
  FORK: "conflict",
  BAD_STATEMENT: "invalid",
  BAD_ENDPOINT: "invalid",
  ENDPOINT_IN_MESH: "invalid",
  KEY_CLAIMED: "conflict",
  EPOCH_UNKNOWN: "unavailable",
} as const satisfies Readonly<Record<string, ErrorCode>>;

export type AdmissionReason = keyof typeof ADMISSION_REASONS;

/** An expected outcome: what was asked, what stands against it, and what a person can do, in one sentence. */
export interface Refused {
  readonly ok: false;
  readonly reason: AdmissionReason;
  readonly message: string;
}

export function refuse(reason: AdmissionReason, message: string): Refused {
  return { ok: false, reason, message };
}
