/** @module Whether this hub can be used now, told to the health services of its ports. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { RunningServer } from "@spanwire/runtime/grpc/serve";
import { type Changes, createChanges } from "@spanwire/runtime/loop/changes";
import type { HubMap } from "./state/mesh-view.ts";

export interface Readiness {
  /** Whether the map is current and the store can be reached. */
  isReady(): boolean;
  /** Resolves when the signal has aborted. */
  readonly done: Promise<void>;
}

export interface ReadinessOptions {
  readonly map: HubMap;
  /** The connection that the store is reached by. */
  readonly nats: NatsConnection;
  readonly servers: readonly RunningServer[];
  readonly signal: AbortSignal;
}

export function followReadiness({ map, nats, servers, signal }: ReadinessOptions): Readiness {
  const linkChanges = createChanges();
  let isLinkUp = !nats.isClosed();
  const isReady = () => map.isCurrent && isLinkUp;
  const setLink = (isUp: boolean) => {
    isLinkUp = isUp;
    linkChanges.notify();
  };
  void followLink(nats, setLink);

  const tellAfter = async (changes: Changes) => {
    while (!signal.aborted) {
      const { version } = changes;
      for (const server of servers) server.setServing(isReady());
      await changes.after(version, signal).catch(() => {});
    }
  };
  const done = Promise.all([map.changes, linkChanges].map(tellAfter)).then(() => {});
  return { isReady, done };
}

/** Ends when the connection is closed for good. */
async function followLink(nats: NatsConnection, set: (isUp: boolean) => void): Promise<void> {
  for await (const { type } of nats.status()) {
    if (type === "disconnect" || type === "staleConnection") set(false);
    if (type === "reconnect") set(true);
  }
  set(false);
}
