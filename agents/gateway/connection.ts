/** @module The agent's one NATS connection. */
import type { NatsConnection } from "@nats-io/transport-node";
import { type GatewayRef, inboxPrefix } from "@spanwire/core/subjects";
import type { Clock, Random } from "@spanwire/core/time";
import type { NkeyPair } from "@spanwire/runtime/crypto/nkey";
import type { Logger } from "@spanwire/runtime/log/logger";
import { jwtAuthenticator } from "@spanwire/runtime/nats/authenticator";
import { connectNats } from "@spanwire/runtime/nats/connect";
import type { Membership } from "./join/membership.ts";

export interface ConnectionOptions {
  readonly self: GatewayRef;
  readonly user: NkeyPair;
  /** The newest one: its token is used at each connect. */
  readonly membership: () => Membership;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Connects, for as long as it takes. */
export function connectAgent({ self, user, membership, ...options }: ConnectionOptions): Promise<NatsConnection> {
  const { natsUrls, natsCaPem } = membership().credentials;
  return connectNats({
    ...options,
    servers: natsUrls,
    name: `spanwire agent ${self.clusterId}/${self.ordinal}`,
    inboxPrefix: inboxPrefix(self),
    authenticator: jwtAuthenticator({ jwt: () => membership().credentials.natsUserJwt, user }),
    ...(natsCaPem === "" ? {} : { tls: { caPem: natsCaPem } }),
  });
}
