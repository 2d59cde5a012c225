/** @module The bytes of `grpc-status-details-bin`: a google.rpc.Status with ErrorInfo and BadRequest. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import type { SpanwireError } from "@spanwire/core/errors";
import { BadRequestSchema, type ErrorInfo, ErrorInfoSchema } from "@spanwire/proto/google/rpc/error_details";
import { type Status, StatusSchema } from "@spanwire/proto/google/rpc/status";
import { type FieldViolation, InvalidRequest } from "./invalid-request.ts";

export const DETAILS_KEY = "grpc-status-details-bin";
export const DOMAIN = "spanwire";
/** Details are HTTP/2 trailers, which proxies and peers limit to 8 to 64 KiB. */
const MAX_VIOLATIONS = 20;
const MAX_DESCRIPTION = 256;

export interface ErrorDetails {
  readonly info: ErrorInfo | undefined;
  readonly violations: readonly FieldViolation[];
}

export function encodeDetails(error: SpanwireError, code: number, message: string): Uint8Array {
  const metadata = { code: error.code, retryable: String(error.retryable) };
  const info = create(ErrorInfoSchema, { reason: error.reason, domain: DOMAIN, metadata });
  const details = [anyPack(ErrorInfoSchema, info)];
  if (error instanceof InvalidRequest) {
    const fieldViolations = error.violations.slice(0, MAX_VIOLATIONS).map(({ field, description, rule }) => ({
      field: field.slice(0, MAX_DESCRIPTION).toWellFormed(),
      description: description.slice(0, MAX_DESCRIPTION).toWellFormed(),
      reason: rule,
    }));
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })));
  }
  return toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
}

/** Reads what it can; bytes that are no Status are no details. */
export function decodeDetails(bytes: Uint8Array): ErrorDetails {
  const { details } = decodeStatus(bytes);
  const infos = details.map((any) => unpack(() => anyUnpack(any, ErrorInfoSchema)));
  const bad = details.map((any) => unpack(() => anyUnpack(any, BadRequestSchema))).find((item) => item !== undefined);
  return {
    info: infos.find((info) => info?.domain === DOMAIN),
    violations: (bad?.fieldViolations ?? []).map(({ field, description, reason }) => ({
      field,
      description,
      rule: reason,
    })),
  };
}

function decodeStatus(bytes: Uint8Array): Status {
  return unpack(() => fromBinary(StatusSchema, bytes)) ?? create(StatusSchema);
}

/** The bytes are another program's: a wrong one must not hide the error that it came with. */
function unpack<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
