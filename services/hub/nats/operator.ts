/** @module The NATS operator of the mesh: its keys, made on first use, and the tokens that they sign. */
import { ANSWER_PERMISSIONS, agentPermissions, type GatewayRef, HEAD_SUBJECT } from "@spanwire/core/subjects";
import {
  encodeAccountJwt,
  encodeOperatorJwt,
  encodeUserJwt,
  type NatsPermissions,
} from "@spanwire/runtime/crypto/nats-claims";
import { createNkeyPair, type NkeyKind, type NkeyPair } from "@spanwire/runtime/crypto/nkey";
import { generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import { ensureSecret, type SecretStore } from "../secrets/port.ts";

export interface NatsOperator {
  /** Public nkeys. */
  readonly systemAccount: string;
  readonly meshAccount: string;
  readonly operatorJwt: string;
  readonly systemAccountJwt: string;
  /** The account of the mesh; users by public key whose tokens up to a time are refused. */
  meshAccountJwt(options: { readonly nowMs: number; readonly revocations: ReadonlyMap<string, number> }): string;
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

/** state writes what the hub keeps, answer talks to agents, system tells the server about accounts. */
export type HubRole = "state" | "answer" | "system";

const HUB_PERMISSIONS: Readonly<Record<HubRole, NatsPermissions>> = {
  state: {
    publish: ["$JS.API.>", "$JS.ACK.>", "$JS.FC.>", "$KV.>", HEAD_SUBJECT],
    subscribe: ["_INBOX.>"],
  },
  answer: ANSWER_PERMISSIONS,
  system: {
    publish: ["$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.SERVER.PING.CONNZ"],
    subscribe: ["_INBOX.>", "$SYS.ACCOUNT.*.DISCONNECT"],
  },
};

/** An agent has five subscriptions; a few more for requests under way. */
const AGENT_LIMITS = { subscriptions: 64, payloadBytes: 128 * 1024 };
/** Tokens of the operator and its accounts do not change, so that the same keys give the same configuration. */
const EPOCH_MS = 1_000;

/** Opens the operator; several hubs with one secret store open the same one. */
export async function openNatsOperator(secrets: SecretStore): Promise<NatsOperator> {
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
    meshAccountJwt: ({ nowMs, revocations }) =>
      encodeAccountJwt(
        {
          subject: mesh.publicKey,
          name: "MESH",
          nowMs,
          signingKeys: [signing.publicKey],
          revocations,
          jetStream: "unlimited",
        },
        operator,
      ),
    hubUserJwt: (role, { nkey, ...times }) => {
      const options = { subject: nkey, name: `hub-${role}`, permissions: HUB_PERMISSIONS[role], ...times };
      return role === "system" ? encodeUserJwt(options, system) : encodeUserJwt({ ...options, issuerAccount }, signing);
    },
    agentUserJwt: (gateway, { nkey, ...times }) => {
      const name = `${gateway.clusterId}.${gateway.ordinal}`;
      const permissions = agentPermissions(gateway);
      return encodeUserJwt(
        { subject: nkey, name, permissions, issuerAccount, limits: AGENT_LIMITS, ...times },
        signing,
      );
    },
  };
}

async function openKey(secrets: SecretStore, kind: NkeyKind, name: string): Promise<NkeyPair> {
  return createNkeyPair(kind, await ensureSecret(secrets, name, async () => generateSigningKey().privateKey));
}
