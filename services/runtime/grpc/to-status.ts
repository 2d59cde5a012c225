/** @module What a caller is told of an error. */
import { Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { SpanwireError } from "@spanwire/core/errors";
import { DETAILS_KEY, encodeDetails } from "./error-details.ts";
import { statusOfCode } from "./status-code.ts";

/** Percent-encoded in an HTTP/2 trailer, this is at most 6 KiB. */
const MAX_MESSAGE = 2048;

/**
 * Turns an error that was meant for the caller into a status with its reason. Anything else gives undefined: its text
 * may name hosts, paths or worse, so it is for the log, and the caller gets `internalError()`.
 */
export function toStatus(error: unknown): StatusObject | undefined {
  return error instanceof SpanwireError ? describe(error) : undefined;
}

/** The whole answer to an unexpected error. */
export function internalError(): StatusObject {
  const error = new SpanwireError("unavailable", "internal error: see the log of the server", { reason: "INTERNAL" });
  return { ...describe(error), code: status.INTERNAL };
}

function describe(error: SpanwireError): StatusObject {
  const code =
    error.reason === "DEADLINE_EXCEEDED" ? status.DEADLINE_EXCEEDED : statusOfCode(error.code, error.retryable);
  const details = error.message.slice(0, MAX_MESSAGE).toWellFormed(); // grpc-js crashes on half a surrogate pair
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, Buffer.from(encodeDetails(error, code, details)));
  return { code, details, metadata };
}
