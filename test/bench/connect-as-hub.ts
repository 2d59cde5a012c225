/** @module A NATS connection as one of the hub's users. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { HubRole, openNatsOperator } from "@spanwire/hub/nats/operator";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createNkeyPair } from "@spanwire/runtime/crypto/nkey";
import { generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import { createLog } from "@spanwire/runtime/log/create-log";
import { jwtAuthenticator } from "@spanwire/runtime/nats/authenticator";
import { connectNats } from "@spanwire/runtime/nats/connect";

export interface HubUserOptions {
  readonly url: string;
  readonly caPem: string;
  readonly operator: Pick<Awaited<ReturnType<typeof openNatsOperator>>, "hubUserJwt">;
  /** The one that writes state, if absent. */
  readonly role?: HubRole;
  readonly signal: AbortSignal;
}

const HOUR_MS = 3_600_000;

export function connectAsHub(options: HubUserOptions): Promise<NatsConnection> {
  const { url, caPem, operator, role = "state", signal } = options;
  const user = createNkeyPair("user", generateSigningKey().privateKey);
  const nowMs = systemClock.now();
  const jwt = operator.hubUserJwt(role, { nkey: user.publicKey, nowMs, expiresAtMs: nowMs + HOUR_MS });
  return connectNats({
    servers: [url],
    name: "bench",
    tls: { caPem },
    authenticator: jwtAuthenticator({ jwt: () => jwt, user }),
    log: createLog({ name: "bench", level: "error" }),
    signal,
  });
}
