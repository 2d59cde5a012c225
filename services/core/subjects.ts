/** @module Every NATS subject and bucket of the contract, and who may use which. */

export const MAP_BUCKET = "sw-map";
export const REGISTRY_BUCKET = "sw-registry";
export const STATUS_BUCKET = "sw-status";

/** The KV bucket's subjects, republished by the server as `sw.v1.map.>`. */
export const MAP_SOURCE = `$KV.${MAP_BUCKET}.>`;
export const MAP_REPUBLISH = "sw.v1.map.>";
export const HEAD_SUBJECT = "sw.v1.head";
/** The audit log: a stream of its own, which only hubs write and read. */
export const AUDIT_STREAM = "sw-audit";
export const AUDIT_SUBJECT = "sw.v1.audit";
/** Everything agents send up; what the hub's answering user may subscribe to. */
export const UP_WILDCARD = "sw.v1.up.>";
export const INBOX_WILDCARD = "sw.v1.inbox.>";

const MAP_PREFIX = "sw.v1.map.";

/** One gateway, as subjects name it. */
export interface GatewayRef {
  readonly clusterId: string;
  readonly ordinal: number;
}

/** What an agent sends to the hub. The first three are requests, the others are not answered. */
export type UpKind = "snapshot" | "statement" | "export" | "applied" | "status";

export function mapSubject(key: string): string {
  return `${MAP_PREFIX}${key}`;
}

/** The record key of a republished subject, or undefined for another subject. */
export function keyOfMapSubject(subject: string): string | undefined {
  return subject.startsWith(MAP_PREFIX) ? subject.slice(MAP_PREFIX.length) : undefined;
}

export function upSubject({ clusterId, ordinal }: GatewayRef, kind: UpKind): string {
  return `sw.v1.up.${clusterId}.${ordinal}.${kind}`;
}

/** One kind of all gateways. */
export function upWildcard(kind: UpKind): string {
  return `sw.v1.up.*.*.${kind}`;
}

/** Who sent what, from the subject alone: NATS lets each agent publish under its own name only. */
export function parseUpSubject(subject: string): (GatewayRef & { readonly kind: string }) | undefined {
  const match = /^sw\.v1\.up\.([a-z0-9-]+)\.(\d{1,2})\.([a-z]+)$/.exec(subject);
  if (match === null) return undefined;
  const [, clusterId = "", ordinal = "", kind = ""] = match;
  return { clusterId, ordinal: Number(ordinal), kind };
}

/** The inbox prefix of an agent, without a trailing dot: replies come to `<prefix>.<nuid>`. */
export function inboxPrefix({ clusterId, ordinal }: GatewayRef): string {
  return `sw.v1.inbox.${clusterId}.${ordinal}`;
}

/** Whether the hub may answer to `reply`: only under the asker's own inbox, or an attacker would choose the subject. */
export function isOwnInbox(reply: string, asker: GatewayRef): boolean {
  return reply.startsWith(`${inboxPrefix(asker)}.`) && !/[*>\s]/.test(reply);
}

export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** Allow-lists of an agent's NATS user: no `$JS.>`, no `$KV.>`, no `$SYS.>`, no other agent's names. */
export function agentPermissions(gateway: GatewayRef): Permissions {
  const { clusterId, ordinal } = gateway;
  const up: readonly UpKind[] = ["snapshot", "statement", "export", "applied", "status"];
  return {
    publish: [...up.map((kind) => upSubject(gateway, kind)), `sw.v1.peer.*.*.${clusterId}.${ordinal}`],
    subscribe: [
      MAP_REPUBLISH,
      HEAD_SUBJECT,
      `${inboxPrefix(gateway)}.>`,
      `sw.v1.peer.${clusterId}.${ordinal}.*.*`,
      `sw.v1.client.${clusterId}.>`,
    ],
  };
}

/** Allow-lists of the hub's answering user: it reads requests and answers into inboxes, and writes nothing else. */
export const ANSWER_PERMISSIONS: Permissions = { publish: [INBOX_WILDCARD], subscribe: [UP_WILDCARD] };
