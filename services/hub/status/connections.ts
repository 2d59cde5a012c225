/**
 * @module Which NATS users have lost their connection, as the servers tell it: sooner than silence does.
 *
 * Only what happens after the start is known, and nothing where the hub is not the system user; silence decides then.
 */
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "@spanwire/core/time";
import { type Changes, createChanges } from "@spanwire/runtime/loop/changes";
import { z } from "zod";

export interface Connections {
  /** When the user's last connection ended; undefined while it has one, and for users of which nothing is known. */
  goneAtMs(nkey: string): number | undefined;
  /** How many connections all users have made since the start. */
  readonly connectCount: number;
  readonly changes: Changes;
  /** Resolves when the signal has aborted. */
  readonly done: Promise<void>;
}

export interface ConnectionsOptions {
  /** As the system user. */
  readonly system: NatsConnection;
  /** Public nkey of the mesh's account. */
  readonly account: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Source: nats-server, server/events.go: ConnectEventMsg and DisconnectEventMsg. */
const eventSchema = z.object({ client: z.object({ user: z.string() }) });
/** Source: nats-server, server/monitor.go: Connz, asked of one user. */
const connzSchema = z.object({ data: z.object({ num_connections: z.number() }) });

const PING_SUBJECT = "$SYS.REQ.SERVER.PING.CONNZ";
/** How long servers are waited for: nobody knows how many there are. */
const ANSWERS_MS = 300;
/** Users that are gone for good would add up; whoever is left out is found by its silence. */
const REMEMBERED = 10_000;

export function followConnections({ system, account, clock, signal }: ConnectionsOptions): Connections {
  const gone = new Map<string, number>();
  const changes = createChanges();
  /** Grows with each event of a user, so that an answer from before it counts for nothing. */
  let events = 0;
  let connectCount = 0;
  const lastEvent = new Map<string, number>();

  async function onEnd(nkey: string, event: number): Promise<void> {
    const endedAtMs = clock.now();
    if (await isConnected(system, nkey)) return;
    if (lastEvent.get(nkey) !== event) return;
    gone.set(nkey, endedAtMs);
    changes.notify();
  }

  function onMessage(message: Msg): void {
    const nkey = userOf(message);
    if (nkey === undefined) return;
    const event = ++events;
    lastEvent.delete(nkey);
    lastEvent.set(nkey, event);
    if (lastEvent.size > REMEMBERED) for (const oldest of lastEvent.keys().take(1)) forget(oldest);
    if (message.subject.endsWith(".DISCONNECT")) return void onEnd(nkey, event);
    connectCount += 1;
    if (gone.delete(nkey)) changes.notify();
  }

  function forget(nkey: string): void {
    lastEvent.delete(nkey);
    gone.delete(nkey);
  }

  const subscriptions = ["CONNECT", "DISCONNECT"].map((kind) =>
    system.subscribe(`$SYS.ACCOUNT.${account}.${kind}`, {
      callback: (error, message) => (error === null ? onMessage(message) : undefined),
    }),
  );
  const done = new Promise<void>((resolve) => {
    const end = () => {
      for (const subscription of subscriptions) subscription.unsubscribe();
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
  return {
    goneAtMs: (nkey) => gone.get(nkey),
    get connectCount() {
      return connectCount;
    },
    changes,
    done,
  };
}

/** A connection that is replaced by another one ends, too, perhaps long after: so the servers are asked. */
async function isConnected(system: NatsConnection, nkey: string): Promise<boolean> {
  try {
    const asked = JSON.stringify({ user: nkey, auth: true });
    const answers = await system.requestMany(PING_SUBJECT, asked, { strategy: "timer", maxWait: ANSWERS_MS });
    for await (const answer of answers) {
      const parsed = connzSchema.safeParse(answer.json());
      if (parsed.success && parsed.data.data.num_connections > 0) return true;
    }
    return false;
  } catch {
    return true; // not known: silence will tell
  }
}

function userOf(message: Msg): string | undefined {
  try {
    return eventSchema.safeParse(message.json()).data?.client.user;
  } catch {
    return undefined;
  }
}
