/** @module Which role the claims of an operator's token give. Pure. */
import { findClaim } from "@spanwire/core/identity/workload-rule";
import { OPERATOR_ROLES, type OperatorRole } from "../authority/spiffe-id.ts";

export interface RoleRule {
  /** JSON pointer of the claim: "/groups". */
  readonly claim: string;
  /** What it must be, or hold if it is a list. */
  readonly value: string;
  readonly role: OperatorRole;
}

/** The greatest role of all rules that hold; undefined where none does. */
export function roleOfClaims(payload: unknown, rules: readonly RoleRule[]): OperatorRole | undefined {
  const roles = rules.filter(({ claim, value }) => holds(findClaim(payload, claim), value)).map(({ role }) => role);
  return OPERATOR_ROLES.findLast((role) => roles.includes(role));
}

function holds(claim: unknown, value: string): boolean {
  return Array.isArray(claim) ? claim.includes(value) : claim === value;
}
