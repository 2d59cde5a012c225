/** @module The hub's three NATS connections: one user writes state, one answers agents, one manages accounts. */
import type { Authenticator, NatsConnection } from "@nats-io/transport-node";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createNkeyPair } from "@spanwire/runtime/crypto/nkey";
import { generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import type { Logger } from "@spanwire/runtime/log/logger";
import { credsAuthenticator, jwtAuthenticator } from "@spanwire/runtime/nats/authenticator";
import { connectNats } from "@spanwire/runtime/nats/connect";
import type { HubRole, NatsOperator } from "./operator.ts";

export interface HubConnections {
  readonly state: NatsConnection;
  readonly answer: NatsConnection;
  readonly system: NatsConnection;
}

export interface HubConnectionOptions {
  readonly operator: NatsOperator;
  readonly servers: readonly string[];
  /** PEM of the CA of the servers' certificates; absent for plain text. */
  readonly caPem: string | undefined;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** At its end the server cuts the connection, and everything that follows the store begins anew. */
const USER_LIFETIME_MS = 30 * 86_400_000;

/** Connects all three, with keys that this process alone knows and tokens made anew for each connection. */
export async function openHubConnections(options: HubConnectionOptions): Promise<HubConnections> {
  const [state, answer, system] = await Promise.all([
    open("state", options),
    open("answer", options),
    open("system", options),
  ]);
  return { state, answer, system };
}

function open(role: HubRole, { operator, servers, caPem, log, signal }: HubConnectionOptions): Promise<NatsConnection> {
  const { systemCreds } = operator;
  return connectNats({
    servers,
    name: `hub-${role}`,
    ...(caPem === undefined ? {} : { tls: { caPem } }),
    authenticator:
      role === "system" && systemCreds !== undefined ? credsAuthenticator(systemCreds) : ownUser(role, operator),
    log: log.child({ user: role }),
    signal,
  });
}

function ownUser(role: HubRole, operator: NatsOperator): Authenticator {
  const user = createNkeyPair("user", generateSigningKey().privateKey);
  const jwt = () => {
    const nowMs = systemClock.now();
    return operator.hubUserJwt(role, { nkey: user.publicKey, nowMs, expiresAtMs: nowMs + USER_LIFETIME_MS });
  };
  return jwtAuthenticator({ jwt, user });
}
