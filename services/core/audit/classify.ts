/** @module What kind of event an entry is, in the words that the common schemas share. */
import { AuditActorKind, type AuditEntry } from "@spanwire/proto/audit";

export type Activity = "create" | "read" | "update" | "delete" | "logon" | "open" | "close" | "renew" | "other";

export interface Classified {
  /** API Activity, Authentication, Entity Management and Tunnel Activity, as OCSF calls them. */
  readonly kind: "api" | "authentication" | "entity" | "tunnel";
  readonly activity: Activity;
}

const CHANGES: Readonly<Record<string, Classified>> = {
  "gateway.register": { kind: "authentication", activity: "logon" },
  "gateway.renew": { kind: "authentication", activity: "logon" },
  "gateway.leave": { kind: "tunnel", activity: "close" },
  "gateway.revoke": { kind: "tunnel", activity: "close" },
  "token.create": { kind: "entity", activity: "create" },
  "token.revoke": { kind: "entity", activity: "update" },
  "token.sweep": { kind: "entity", activity: "delete" },
  "cluster.update": { kind: "entity", activity: "update" },
  "cluster.extend": { kind: "entity", activity: "update" },
  "cluster.revoke": { kind: "entity", activity: "update" },
  "cluster.delete": { kind: "entity", activity: "delete" },
  "cluster.invite": { kind: "entity", activity: "create" },
  "cluster.withdraw-invite": { kind: "entity", activity: "delete" },
  "operator.create": { kind: "entity", activity: "create" },
  "operator.revoke": { kind: "entity", activity: "update" },
  "links.set": { kind: "entity", activity: "update" },
  "state.export": { kind: "api", activity: "read" },
};

/** Reasons that say who is calling was not proven. */
const NOT_PROVEN = /^(OPERATOR_REQUIRED|BAD_PROOF|NONCE_EXPIRED|JWT_\w+)$/;
/** Methods by which somebody says who he is. */
const PROVING = new Set(["Challenge", "Register", "Renew", "Leave"]);
const VERBS: readonly (readonly [RegExp, Activity])[] = [
  [/^(Get|List|Watch|Read|Export)/, "read"],
  [/^(Create|Invite)/, "create"],
  [/^(Update|Set|Revoke)/, "update"],
  [/^(Delete|Withdraw)/, "delete"],
];

export function classify({ action, refusal, before, actor }: AuditEntry): Classified {
  if (action === "statement.store") return { kind: "tunnel", activity: before === "" ? "open" : "renew" };
  const change = CHANGES[action];
  if (change !== undefined) return change;
  const isNobody = actor === undefined || actor.kind === AuditActorKind.NOBODY;
  if (PROVING.has(action) || (isNobody && NOT_PROVEN.test(refusal)))
    return { kind: "authentication", activity: "logon" };
  const activity = VERBS.find(([verb]) => verb.test(action))?.[1] ?? "other";
  return { kind: "api", activity };
}
