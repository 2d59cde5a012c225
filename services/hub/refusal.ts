/** @module Every reason for which the hub refuses a call: stable names for programs (google.rpc.ErrorInfo.reason). */
import { type ErrorCode, SpanwireError } from "@spanwire/core/errors";

interface Refusal {
  readonly code: ErrorCode;
  /** Whether the same call may succeed later with nothing changed. */
  readonly retryable?: boolean;
}

export const REASONS = {
  // The proof of RegistrationService.
  BAD_PROOF: { code: "unauthenticated" },
  NONCE_EXPIRED: { code: "unauthenticated", retryable: true },
  // Join tokens.
  TOKEN_UNKNOWN: { code: "unauthenticated" },
  TOKEN_EXPIRED: { code: "unauthenticated" },
  TOKEN_REVOKED: { code: "unauthenticated" },
  TOKEN_ALREADY_USED: { code: "unauthenticated" },
  TOKEN_WRONG_CLUSTER: { code: "denied" },
  TOKEN_WRONG_ORDINAL: { code: "denied" },
  TOKEN_NOT_FOUND: { code: "not-found" },
  // Gateways.
  GATEWAY_UNKNOWN: { code: "unauthenticated" },
  IDENTITY_REVOKED: { code: "denied" },
  GATEWAY_NOT_FOUND: { code: "not-found" },
  // Operators.
  OPERATOR_REQUIRED: { code: "denied" },
  // Load.
  RATE_LIMITED: { code: "exhausted", retryable: true },
  BUSY: { code: "conflict", retryable: true },
} as const satisfies Readonly<Record<string, Refusal>>;

export type Reason = keyof typeof REASONS;

/** The error of a refused call; the message is for the caller and says what to do. */
export function refusal(reason: Reason, message: string): SpanwireError {
  const { code, ...rest }: Refusal = REASONS[reason];
  return new SpanwireError(code, message, { reason, ...rest });
}
