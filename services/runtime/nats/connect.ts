/** @module A NATS connection that comes back for ever. */
import { type Authenticator, type ConnectionOptions, connect, type NatsConnection } from "@nats-io/transport-node";
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock, Random } from "@spanwire/core/time";
import { systemClock } from "../clock/system-clock.ts";
import { systemRandom } from "../crypto/random.ts";
import type { Logger } from "../log/logger.ts";
import { type Backoff, fullJitterMs } from "../loop/backoff.ts";
import { logNatsStatus } from "./log-status.ts";
import { checkNatsServer } from "./server-identity.ts";
import { requireServerVersion } from "./server-version.ts";

export interface NatsOptions {
  /** URLs; any of them will do. Servers that these speak of are not used: the list is what was agreed on. */
  readonly servers: readonly string[];
  /** Shown in the server's connection list. */
  readonly name: string;
  /** CAs, as PEM, one of which must have signed the servers' certificates; absent uses the system's if the server has TLS. */
  readonly tls?: { readonly caPem: string };
  readonly authenticator?: Authenticator;
  /** Where answers are sent, `_INBOX` if absent; a user with few permissions has a place of its own. */
  readonly inboxPrefix?: string;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly backoff?: Backoff;
  /** Closes the connection, after what was sent has left. */
  readonly signal: AbortSignal;
}

const BACKOFF: Backoff = { baseMs: 500, capMs: 15_000 };
const ATTEMPT_TIMEOUT_MS = 5_000;
/** A peer that is gone without a word is found out within 30 s. */
const PING_INTERVAL_MS = 10_000;
const MAX_PING_OUT = 2;
const DRAIN_TIMEOUT_MS = 1_000;

/**
 * Connects, trying for as long as it takes, and stays connected: after each loss it tries again for ever, with full
 * jitter, and asks the authenticator anew. Rejects with the signal's reason, or with `NATS_TOO_OLD`, which no retry mends.
 */
export async function connectNats(options: NatsOptions): Promise<NatsConnection> {
  const { log, clock = systemClock, random = systemRandom, backoff = BACKOFF, signal } = options;
  const connectionOptions = toConnectionOptions(options, random, backoff);
  for (let failures = 0; ; ) {
    signal.throwIfAborted();
    try {
      return await connectOnce(connectionOptions, options);
    } catch (err) {
      signal.throwIfAborted();
      if (err instanceof SpanwireError && !err.retryable) throw err;
      const retryInMs = Math.round(fullJitterMs(backoff, ++failures, random));
      log.warn({ err, servers: options.servers, retryInMs }, "connecting to nats failed");
      await clock.sleep(retryInMs, signal);
    }
  }
}

async function connectOnce(
  connectionOptions: ConnectionOptions,
  { log, signal }: NatsOptions,
): Promise<NatsConnection> {
  const connection = await orAborted(connect(connectionOptions), signal);
  try {
    requireServerVersion(connection.info?.version ?? "");
  } catch (error) {
    await connection.close();
    throw error;
  }
  log.info({ server: connection.getServer(), version: connection.info?.version }, "nats connected");
  void logNatsStatus(connection, log);
  signal.addEventListener("abort", () => void closeGently(connection), { once: true });
  return connection;
}

function toConnectionOptions(options: NatsOptions, random: Random, backoff: Backoff): ConnectionOptions {
  const { servers, name, tls, authenticator, inboxPrefix } = options;
  // Node's TLS options pass through nats.js, whose types name only some of them.
  const tlsOptions = { ca: tls?.caPem ?? "", checkServerIdentity: checkNatsServer(servers) };
  return {
    servers: [...servers],
    name,
    ...(tls && { tls: tlsOptions }),
    ...(authenticator && { authenticator }),
    ...(inboxPrefix !== undefined && { inboxPrefix }),
    timeout: ATTEMPT_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: MAX_PING_OUT,
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true, // the next attempt may have a renewed token
    ignoreClusterUpdates: true,
    noAsyncTraces: true, // a stack for each request costs a hub more than the request
    // All waiting is done here: reconnectDelayHandler is asked several times for one wait, which is no jitter any more.
    reconnectDelayHandler: () => 0,
    reconnectToServer: ([next]) => {
      if (next === undefined) return null;
      const isFirstConnect = !next.didConnect && next.reconnects === 0;
      return { server: next, delay: isFirstConnect ? 0 : fullJitterMs(backoff, next.reconnects + 1, random) };
    },
  };
}

/** nats.js cannot be told to stop connecting: a connection that comes too late is closed. */
function orAborted(connecting: Promise<NatsConnection>, signal: AbortSignal): Promise<NatsConnection> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason);
      connecting.then((late) => late.close()).catch(() => {}); // nobody waits for it any more
    };
    signal.addEventListener("abort", onAbort, { once: true });
    connecting.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

async function closeGently(connection: NatsConnection): Promise<void> {
  const drained = connection.isClosed() ? Promise.resolve() : connection.drain();
  const late = systemClock.sleep(DRAIN_TIMEOUT_MS);
  await Promise.race([drained, late]).catch(() => {}); // not connected: there is nothing to drain
  await connection.close();
}
