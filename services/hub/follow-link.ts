/** @module Whether a NATS connection stands at this moment. */
import type { NatsConnection } from "@nats-io/transport-node";
import { type Changes, createChanges } from "@spanwire/runtime/loop/changes";

export interface Link {
  readonly isUp: boolean;
  readonly changes: Changes;
}

/** Follows the connection until it is closed for good. */
export function followLink(connection: NatsConnection): Link {
  const changes = createChanges();
  let isUp = !connection.isClosed();
  const set = (next: boolean) => {
    if (isUp === next) return;
    isUp = next;
    changes.notify();
  };
  void (async () => {
    for await (const { type } of connection.status()) {
      if (type === "disconnect" || type === "reconnecting" || type === "staleConnection") set(false);
      if (type === "reconnect") set(true);
    }
    set(false);
  })();
  return {
    get isUp() {
      return isUp;
    },
    changes,
  };
}
