/** @module The agent's one NATS connection: made anew for ever, and where the hub says that NATS is now. */
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

/** After NATS was refused for good, or the connection was closed to be opened elsewhere. */
const RETRY_CONNECT_MS = 60_000;
const REOPEN_MS = 1_000;

export class Connection {
  readonly #options: ConnectionOptions;
  #nats: NatsConnection | undefined;
  /** Where the credentials say that NATS is. */
  #place = "";

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Undefined until there is one, and from its end to the next. */
  get nats(): NatsConnection | undefined {
    return this.#nats;
  }

  get isOpen(): boolean {
    return this.#nats !== undefined && !this.#nats.isClosed();
  }

  /** Resolves when the signal has aborted; `onOpened` is told of each connection. */
  async run(onOpened: (nats: NatsConnection) => void): Promise<void> {
    const { clock, log, signal, membership } = this.#options;
    while (!signal.aborted) {
      let restMs = REOPEN_MS;
      try {
        this.#place = placeOf(membership());
        this.#nats = await connectAgent(this.#options);
        onOpened(this.#nats);
        await this.#nats.closed();
        this.#nats = undefined;
      } catch (err) {
        if (signal.aborted) return;
        restMs = RETRY_CONNECT_MS;
        log.error({ err, retryInMs: restMs }, "nats cannot be used"); // and the kernel needs none
      }
      await clock.sleep(restMs, signal).catch(() => {});
    }
  }

  /** A connection is left alone unless the hub says that NATS is elsewhere now. */
  follow(): void {
    if (placeOf(this.#options.membership()) !== this.#place) void this.#nats?.close();
  }
}

/** Connects, for as long as it takes. */
function connectAgent({ self, user, membership, ...options }: ConnectionOptions): Promise<NatsConnection> {
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

function placeOf({ credentials }: Membership): string {
  return JSON.stringify([credentials.natsUrls, credentials.natsCaPem]);
}
