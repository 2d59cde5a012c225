/** @module Who calls FleetService: by a certificate of ours, or by a token of the company's sign-in. */
import { findClaim } from "@spanwire/core/identity/workload-rule";
import type { Clock } from "@spanwire/core/time";
import type { Call } from "@spanwire/runtime/grpc/interceptor";
import { type OperatorRole, parseSpiffeId } from "../authority/spiffe-id.ts";
import type { KeyRing, KeySource } from "../oidc/issuer-keys.ts";
import { SKEW_S, verifyToken } from "../oidc/verify-token.ts";
import { refusal } from "../refusal.ts";
import type { OperatorView } from "./follow-operators.ts";
import { serialOf } from "./operator-record.ts";
import { type RoleRule, roleOfClaims } from "./token-role.ts";

export interface Operator {
  readonly name: string;
  readonly role: OperatorRole;
  /** Calls once if the caller's access ends; the returned function ends that. */
  onRevoked(listener: () => void): () => void;
}

/** The operator who calls; undefined for who is none. Throws why one is let in no more. */
export type FindOperator = (call: Pick<Call, "context">) => Promise<Operator | undefined>;

/** By the client certificate: a gateway's, which the same CA has issued, and another mesh's are none. */
export function byCertificate(meshId: string, view: Pick<OperatorView, "check" | "onRevoked">): FindOperator {
  return async ({ context: { peer } }) => {
    const { spiffeId, der = new Uint8Array() } = peer.certificate ?? {};
    const named = spiffeId === undefined ? undefined : parseSpiffeId(spiffeId);
    if (named?.kind !== "operator" || named.meshId !== meshId) return undefined;
    const serial = serialOf(der);
    await view.check(serial);
    return { name: named.name, role: named.role, onRevoked: (listener) => view.onRevoked(serial, listener) };
  };
}

export interface BearerOptions {
  readonly keyRing: KeyRing;
  readonly source: KeySource;
  /** What `iss` must be. */
  readonly issuer: string;
  readonly audience: string;
  /** JSON pointer of what the audit log calls them. */
  readonly nameClaim: string;
  readonly roles: readonly RoleRule[];
  readonly clock: Clock;
}

const MAX_NAME_LENGTH = 128;

/** By `authorization: Bearer …`. Its call ends when the token does. */
export function byBearer(options: BearerOptions): FindOperator {
  const { keyRing, source, issuer, audience, nameClaim, roles, clock } = options;
  return async ({ context }) => {
    const token = /^Bearer ([\w.-]+)$/i.exec(context.metadata.get("authorization") ?? "")?.[1];
    if (token === undefined) return undefined;
    const nowMs = clock.now();
    const payload = await verifyToken(keyRing, token, { owner: "operators", source, issuer, audience, nowMs });
    const name = findClaim(payload, nameClaim);
    if (typeof name !== "string" || name === "")
      throw refusal("OPERATOR_REQUIRED", `your token has no claim ${nameClaim}`);
    const role = roleOfClaims(payload, roles);
    if (role === undefined) {
      throw refusal(
        "OPERATOR_REQUIRED",
        "your token gives no role here: ask an admin to be put into a group that does",
      );
    }
    const leftMs = ((payload.exp ?? 0) + SKEW_S) * 1_000 - nowMs;
    return { name: name.slice(0, MAX_NAME_LENGTH), role, onRevoked: (listener) => after(clock, leftMs, listener) };
  };
}

function after(clock: Clock, ms: number, listener: () => void): () => void {
  const stopped = new AbortController();
  clock.sleep(Math.max(0, ms), stopped.signal).then(listener, () => undefined);
  return () => stopped.abort();
}
