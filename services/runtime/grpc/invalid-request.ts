/** @module The error of a request that breaks the contract, with each field at fault. */
import { SpanwireError } from "@spanwire/core/errors";

export interface FieldViolation {
  /** Path of the field, for example `prefixes[0]`; empty where the whole message is at fault. */
  readonly field: string;
  /** A sentence for a person. */
  readonly description: string;
  /** The broken rule, for programs, for example `string.ip_prefix`. */
  readonly rule: string;
}

export class InvalidRequest extends SpanwireError {
  readonly violations: readonly FieldViolation[];

  constructor(what: string, violations: readonly FieldViolation[], options?: ErrorOptions) {
    super("invalid", `${what}: ${summary(violations)}`, { ...options, reason: "INVALID_REQUEST" });
    this.violations = violations;
  }
}

function summary([first, ...rest]: readonly FieldViolation[]): string {
  if (first === undefined) return "not acceptable";
  const text = first.field === "" ? first.description : `${first.field}: ${first.description}`;
  return rest.length === 0 ? text : `${text}, and ${rest.length} more`;
}
