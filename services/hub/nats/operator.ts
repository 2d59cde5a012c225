/** @module The NATS operator of the mesh: its keys, made on first use, and the tokens that they sign. */
import {
  ANSWER_PERMISSIONS,
  AUDIT_SUBJECT,
  agentPermissions,
  type GatewayRef,
  HEAD_SUBJECT,
} from "@spanwire/core/subjects";
import {
  encodeAccountJwt,
  encodeOperatorJwt,
  encodeUserJwt,
  type NatsPermissions,
} from "@spanwire/runtime/crypto/nats-claims";
import type { NatsCreds } from "@spanwire/runtime/crypto/nats-creds";
import type { NatsClaims } from "@spanwire/runtime/crypto/nats-jwt";
import { createNkeyPair, type NkeyKind, type NkeyPair } from "@spanwire/runtime/crypto/nkey";
import { generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import { ensureSecret, type SecretStore } from "../secrets/port.ts";
import { type RefusedUsers, refuseUsers } from "./account-token.ts";

export interface NatsOperator {
  /** Public nkey of the mesh's account. */
  readonly meshAccount: string;
  /** For the hub's system connection, where the hub may not issue its user; undefined where it may. */
  readonly systemCreds: NatsCreds | undefined;
  /** The account's present token, changed so that it refuses these users and signed anew. */
  refuseUsers(present: NatsClaims, users: RefusedUsers, nowMs: number): string;
  /** For one of the hub's own connections. */
  hubUserJwt(
    role: HubRole,
    options: { readonly nkey: string; readonly nowMs: number; readonly expiresAtMs?: number },
  ): string;
  /** For a gateway, bound to its nkey, with its own subjects only. */
  agentUserJwt(
    gateway: GatewayRef,
    options: { readonly nkey: string; readonly nowMs: number; readonly expiresAtMs: number },
  ): string;
}

/** One whose keys are all ours: that of an embedded server, or of one that was set up with them. */
export interface OwnOperator extends NatsOperator {
  /** Public nkey. */
  readonly systemAccount: string;
  readonly operatorJwt: string;
  readonly systemAccountJwt: string;
  /** The account of the mesh as the server begins with it. */
  readonly meshAccountJwt: string;
}

/** state writes what the hub keeps, answer talks to agents, system tells the server about accounts. */
export type HubRole = "state" | "answer" | "system";

export const HUB_PERMISSIONS: Readonly<Record<HubRole, NatsPermissions>> = {
  state: {
    publish: ["$JS.API.>", "$JS.ACK.>", "$JS.FC.>", "$KV.>", HEAD_SUBJECT, AUDIT_SUBJECT],
    subscribe: ["_INBOX.>"],
  },
  answer: ANSWER_PERMISSIONS,
  system: {
    publish: [
      "$SYS.REQ.CLAIMS.UPDATE",
      "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP",
      "$SYS.REQ.SERVER.PING.CONNZ",
      "$SYS.REQ.SERVER.PING.JSZ",
    ],
    subscribe: ["_INBOX.>", "$SYS.ACCOUNT.*.CONNECT", "$SYS.ACCOUNT.*.DISCONNECT"],
  },
};

/** An agent has five subscriptions; a few more for requests under way. */
const AGENT_LIMITS = { subscriptions: 64, payloadBytes: 128 * 1024 };
/** Tokens of the operator and its accounts do not change, so that the same keys give the same configuration. */
const EPOCH_MS = 1_000;

/** Opens the operator; several hubs with one secret store open the same one. */
export async function openNatsOperator(secrets: SecretStore): Promise<OwnOperator> {
  const [operator, system, mesh, signing] = await Promise.all([
    openKey(secrets, "operator", "nats-operator"),
    openKey(secrets, "account", "nats-system-account"),
    openKey(secrets, "account", "nats-mesh-account"),
    openKey(secrets, "account", "nats-mesh-signing"),
  ]);
  const issuerAccount = mesh.publicKey;
  return {
    systemAccount: system.publicKey,
    meshAccount: mesh.publicKey,
    operatorJwt: encodeOperatorJwt(
      { subject: operator.publicKey, name: "spanwire", nowMs: EPOCH_MS, systemAccount: system.publicKey },
      operator,
    ),
    systemAccountJwt: encodeAccountJwt({ subject: system.publicKey, name: "SYS", nowMs: EPOCH_MS }, operator),
    meshAccountJwt: encodeAccountJwt(
      {
        subject: mesh.publicKey,
        name: "MESH",
        nowMs: EPOCH_MS,
        signingKeys: [signing.publicKey],
        jetStream: "unlimited",
      },
      operator,
    ),
    systemCreds: undefined,
    refuseUsers: (present, users, nowMs) => refuseUsers(present, users, { nowMs, operator }),
    hubUserJwt: (role, { nkey, ...times }) => {
      const options = { subject: nkey, name: `hub-${role}`, permissions: HUB_PERMISSIONS[role], ...times };
      return role === "system" ? encodeUserJwt(options, system) : encodeUserJwt({ ...options, issuerAccount }, signing);
    },
    agentUserJwt: (gateway, options) => issueAgentUser(gateway, { ...options, issuerAccount, signing }),
  };
}

export interface AgentUserOptions {
  readonly nkey: string;
  readonly nowMs: number;
  readonly expiresAtMs: number;
  /** The account where `signing` is one of its signing keys. */
  readonly issuerAccount?: string;
  readonly signing: NkeyPair;
}

export function issueAgentUser(gateway: GatewayRef, { nkey, signing, ...options }: AgentUserOptions): string {
  const name = `${gateway.clusterId}.${gateway.ordinal}`;
  const user = { subject: nkey, name, permissions: agentPermissions(gateway), limits: AGENT_LIMITS };
  return encodeUserJwt({ ...user, ...options }, signing);
}

async function openKey(secrets: SecretStore, kind: NkeyKind, name: string): Promise<NkeyPair> {
  return createNkeyPair(kind, await ensureSecret(secrets, name, async () => generateSigningKey().privateKey));
}
