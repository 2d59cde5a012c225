/** @module What a loop does about an error. */
import { SpanwireError } from "@spanwire/core/errors";

export type Failure =
  | "retryable" // the world may be different later: back off and try again
  | "terminal" // only another input can help: wait to be woken
  | "bug"; // the program is wrong: stop, and let the supervisor restart it

const BUGS = [TypeError, RangeError, ReferenceError, SyntaxError];

/**
 * Sorts an error into what to do about it. Of several failures together the one that needs most decides: a bug, then a
 * retry. Unknown errors, such as those of libraries, are retryable: waiting costs less than a restart.
 */
export function classifyFailure(error: unknown): Failure {
  if (error instanceof AggregateError) {
    const parts = error.errors.map(classifyFailure);
    return parts.includes("bug") ? "bug" : parts.includes("retryable") || parts.length === 0 ? "retryable" : "terminal";
  }
  if (error instanceof SpanwireError) return error.retryable ? "retryable" : "terminal";
  return BUGS.some((bug) => error instanceof bug) && !isSystemError(error) ? "bug" : "retryable";
}

/** Node reports some failures of the outside world as TypeError or RangeError with a code, for example `fetch failed`. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && ("code" in error || error.cause !== undefined);
}
