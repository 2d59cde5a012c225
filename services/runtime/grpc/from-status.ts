/** @module What a client makes of a status. */
import { type ServiceError, status } from "@grpc/grpc-js";
import { SpanwireError } from "@spanwire/core/errors";
import { DETAILS_KEY, decodeDetails, type ErrorDetails } from "./error-details.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { codeOfStatus, isErrorCode } from "./status-code.ts";

/**
 * Turns the error of a call into ours, `what` being the call in words. A server of ours says code, reason and whether
 * to try again; for others the status decides, and its name is the reason.
 */
export function fromStatus(error: ServiceError, what: string): SpanwireError {
  const { info, violations } = detailsOf(error);
  const message = `${what}: ${error.details}`;
  if (violations.length > 0) return new InvalidRequest(what, violations, { cause: error });
  const { code, retryable } = info?.metadata ?? {};
  if (info !== undefined && isErrorCode(code)) {
    return new SpanwireError(code, message, { reason: info.reason, retryable: retryable === "true", cause: error });
  }
  return new SpanwireError(codeOfStatus(error.code), message, {
    reason: status[error.code] ?? "UNKNOWN",
    ...(error.code === status.ABORTED ? { retryable: true } : {}),
    cause: error,
  });
}

/** Tells an error of grpc-js from others by its shape: it has no class. */
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}

function detailsOf(error: ServiceError): ErrorDetails {
  const [bytes] = error.metadata?.get(DETAILS_KEY) ?? [];
  return bytes instanceof Uint8Array ? decodeDetails(bytes) : { info: undefined, violations: [] };
}
