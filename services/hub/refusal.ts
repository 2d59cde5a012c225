/** @module Every reason for which the hub refuses a call: stable names for programs (google.rpc.ErrorInfo.reason). */
import { ADMISSION_REASONS, type Refused } from "@spanwire/core/admission/refusal";
import { type ErrorCode, SpanwireError } from "@spanwire/core/errors";

export const REASONS = {
  ...ADMISSION_REASONS,
  // The proof of RegistrationService.
  BAD_PROOF: "unauthenticated",
  NONCE_EXPIRED: "unauthenticated",
  // Join tokens.
  TOKEN_UNKNOWN: "unauthenticated",
  TOKEN_EXPIRED: "unauthenticated",
  TOKEN_REVOKED: "unauthenticated",
  TOKEN_ALREADY_USED: "unauthenticated",
  TOKEN_WRONG_CLUSTER: "denied",
  TOKEN_WRONG_ORDINAL: "denied",
  TOKEN_NOT_FOUND: "not-found",
  INVALID_NKEY: "invalid",
  // Tokens of other issuers.
  INVALID_JWKS: "invalid",
  ISSUER_AWAY: "unavailable",
  JWT_INVALID: "unauthenticated",
  JWT_KEY_UNKNOWN: "unauthenticated",
  JWT_EXPIRED: "unauthenticated",
  JWT_NOT_YET_VALID: "unauthenticated",
  JWT_WRONG_AUDIENCE: "unauthenticated",
  JWT_WRONG_ISSUER: "unauthenticated",
  JWT_LIVES_TOO_LONG: "unauthenticated",
  // Joining as a workload.
  WORKLOAD_NOT_INVITED: "unauthenticated",
  WORKLOAD_WRONG_SUBJECT: "denied",
  WORKLOAD_WRONG_CLAIM: "denied",
  WORKLOAD_CLAIM_MISSING: "denied",
  WORKLOAD_SUPERSEDED: "denied",
  WORKLOAD_ALREADY_JOINED: "denied",
  WORKLOAD_REVOKED: "denied",
  INVITE_NOT_FOUND: "not-found",
  // Operators.
  OPERATOR_REQUIRED: "denied",
  ROLE_REQUIRED: "denied",
  OPERATOR_REVOKED: "denied",
  OPERATOR_NOT_FOUND: "not-found",
  BAD_PUBLIC_KEY: "invalid",
  AUDIT_ENTRY_NOT_FOUND: "not-found",
  // Rotation.
  NO_ROTATION: "conflict",
  ROTATION_ABORTING: "conflict",
  // Load and failures of what is behind the hub.
  RATE_LIMITED: "exhausted",
  BUSY: "conflict",
  STORE_AWAY: "unavailable",
  SIGNER_AWAY: "unavailable",
} as const satisfies Readonly<Record<string, ErrorCode>>;

export type Reason = keyof typeof REASONS;

/** Those after which the same call may succeed with nothing changed; so may every `unavailable` one. */
const RETRYABLE = new Set<Reason>(["NONCE_EXPIRED", "RATE_LIMITED", "BUSY", "ROTATION_ABORTING", "JWT_KEY_UNKNOWN"]);

/** The error of a refused call; the message is for the caller and says what to do. */
export function refusal(reason: Reason, message: string): SpanwireError {
  const code = REASONS[reason];
  return new SpanwireError(code, message, { reason, retryable: RETRYABLE.has(reason) || code === "unavailable" });
}

/** The value of a decision; throws its refusal. */
export function accept<T extends { readonly ok: true }>(decision: T | Refused): T {
  if (!decision.ok) throw refusal(decision.reason, decision.message);
  return decision;
}
