/** @module Turns what NATS throws into what the state port promises. */
import { JetStreamApiError } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import { SpanwireError } from "@spanwire/core/errors";

/** Answers to a write whose expectation does not hold; the second where writes of others are still being replicated. */
const WRONG_LAST_SEQUENCE = [10071, 10164];
const STREAM_NOT_FOUND = 10059;

/** Everything is `unavailable` and may pass, except what the server will never allow us. */
export function toStateError(doing: string, cause: unknown): SpanwireError {
  if (cause instanceof SpanwireError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  const isDenied = cause instanceof errors.PermissionViolationError || cause instanceof errors.AuthorizationError;
  const [code, reason] = isDenied
    ? (["denied", "STATE_DENIED"] as const)
    : (["unavailable", "STATE_UNAVAILABLE"] as const);
  return new SpanwireError(code, `${doing}: ${why}`, { cause, reason });
}

export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && WRONG_LAST_SEQUENCE.includes(error.code);
}

export function isStreamGone(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND;
}
