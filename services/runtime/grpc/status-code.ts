/** @module Which gRPC status each of our error codes is, and back. */
import { status } from "@grpc/grpc-js";
import type { ErrorCode } from "@spanwire/core/errors";

const STATUS: Readonly<Record<ErrorCode, status>> = {
  invalid: status.INVALID_ARGUMENT,
  unauthenticated: status.UNAUTHENTICATED,
  denied: status.PERMISSION_DENIED,
  conflict: status.FAILED_PRECONDITION, // ABORTED where trying again may help
  "not-found": status.NOT_FOUND,
  exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  kernel: status.INTERNAL,
  corrupt: status.DATA_LOSS,
};

/** How to read a status without our details: from a proxy, from gRPC itself, or from a server that is not ours. */
const CODE: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.INVALID_ARGUMENT]: "invalid",
  [status.OUT_OF_RANGE]: "invalid",
  [status.UNIMPLEMENTED]: "invalid",
  [status.UNAUTHENTICATED]: "unauthenticated",
  [status.PERMISSION_DENIED]: "denied",
  [status.ALREADY_EXISTS]: "conflict",
  [status.FAILED_PRECONDITION]: "conflict",
  [status.ABORTED]: "conflict",
  [status.NOT_FOUND]: "not-found",
  [status.RESOURCE_EXHAUSTED]: "exhausted",
  [status.DATA_LOSS]: "corrupt",
};

export function statusOfCode(code: ErrorCode, retryable: boolean): status {
  return code === "conflict" && retryable ? status.ABORTED : STATUS[code];
}

/** What is left (UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, INTERNAL, UNKNOWN) may pass with time. */
export function codeOfStatus(code: status): ErrorCode {
  return CODE[code] ?? "unavailable";
}

export function isErrorCode(text: string | undefined): text is ErrorCode {
  return text !== undefined && Object.hasOwn(STATUS, text);
}
