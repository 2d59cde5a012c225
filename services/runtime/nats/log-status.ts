/** @module Tells the log what happens to a connection. */
import type { NatsConnection, Status } from "@nats-io/transport-node";
import type { Logger } from "../log/logger.ts";
import { requireServerVersion } from "./server-version.ts";

/** Runs until the connection is closed for good. */
export async function logNatsStatus(connection: NatsConnection, log: Logger): Promise<void> {
  for await (const status of connection.status()) {
    logStatus(status, log);
    if (status.type === "reconnect") warnOfOldServer(connection, log);
  }
}

function logStatus(status: Status, log: Logger): void {
  if (status.type === "disconnect") log.warn({ server: status.server }, "nats connection lost");
  else if (status.type === "reconnect") log.info({ server: status.server }, "nats connection restored");
  else if (status.type === "error") log.warn({ err: status.error }, "nats server reports an error");
  else if (status.type === "staleConnection") log.warn({}, "nats connection is silent, dropping it");
  else if (status.type === "slowConsumer") {
    log.warn({ subject: status.sub.getSubject(), pending: status.pending }, "nats messages wait to be read");
  } else log.debug({ status: status.type }, "nats status");
}

/** A rolling downgrade: too late to refuse, since what is connected works for what it was used for so far. */
function warnOfOldServer({ info }: NatsConnection, log: Logger): void {
  try {
    requireServerVersion(info?.version ?? "");
  } catch (err) {
    log.error({ err }, "nats server is too old");
  }
}
