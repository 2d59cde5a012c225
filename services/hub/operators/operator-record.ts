/** @module What the registry keeps of each certificate that lets an operator in. */
import { X509Certificate } from "node:crypto";
import { SpanwireError } from "@spanwire/core/errors";
import { z } from "zod";
import { OPERATOR_ROLES } from "../authority/spiffe-id.ts";

const schema = z.strictObject({
  name: z.string(),
  role: z.enum(OPERATOR_ROLES),
  serial: z.string(),
  createdAtMs: z.number(),
  expiresAtMs: z.number(),
  revokedAtMs: z.number().optional(),
});

export type OperatorRecord = z.output<typeof schema>;

export const OPERATOR_PREFIX = "operator.";

export function operatorKey(serial: string): string {
  return `${OPERATOR_PREFIX}${serial}`;
}

/** Of a certificate as PEM or DER: hexadecimal digits in lower case. */
export function serialOf(certificate: string | Uint8Array): string {
  return new X509Certificate(certificate).serialNumber.toLowerCase();
}

export function encodeOperator(operator: OperatorRecord): Uint8Array {
  return Buffer.from(JSON.stringify(operator));
}

/** Throws `corrupt` for what `encodeOperator` has not written. */
export function decodeOperator(key: string, stored: Uint8Array): OperatorRecord {
  try {
    return schema.parse(JSON.parse(Buffer.from(stored).toString()));
  } catch (cause) {
    throw new SpanwireError("corrupt", `registry key "${key}": not an operator`, { cause });
  }
}
