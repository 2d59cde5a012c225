/**
 * @module Follows a stream from its present content on, and ends as soon as it may have missed something.
 *
 * An ordered consumer of nats.js repairs itself by going on from the last sequence it knows. That hides a store which
 * was rolled back while the connection was lost, so here every doubt ends the watch and the caller starts a new one.
 */
import { AckPolicy, DeliverPolicy, type JetStreamManager, ReplayPolicy } from "@nats-io/jetstream";
import { createInbox, type Msg, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "@spanwire/core/time";
import { createChanges } from "@spanwire/runtime/loop/changes";

export interface WatchStreamOptions {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly clock: Clock;
  readonly stream: string;
  /** With wildcards. */
  readonly subject: string;
  readonly signal: AbortSignal;
}

export type StreamEvent =
  | {
      readonly kind: "message";
      readonly subject: string;
      readonly bytes: Uint8Array;
      readonly header: MsgHdrs | undefined;
      readonly sequence: number;
    }
  | { readonly kind: "current"; readonly sequence: number };

const HEARTBEAT_MS = 2_000;
/** Two heartbeats missed, and some. */
const SILENCE_MS = 5_000;
const INACTIVE_MS = 10_000;
const NANOSECONDS_PER_MS = 1_000_000;
const STATUS_HEARTBEAT_OR_FLOW = 100;

export async function* watchStream(options: WatchStreamOptions): AsyncGenerator<StreamEvent> {
  const { manager, stream, subject, signal } = options;
  if (signal.aborted) return;
  using delivery = receive(options);
  const { name } = await manager.consumers.add(stream, {
    deliver_subject: delivery.inbox,
    deliver_policy: DeliverPolicy.LastPerSubject,
    filter_subject: subject,
    ack_policy: AckPolicy.None,
    replay_policy: ReplayPolicy.Instant,
    max_deliver: 1,
    mem_storage: true,
    num_replicas: 1,
    flow_control: true,
    idle_heartbeat: HEARTBEAT_MS * NANOSECONDS_PER_MS,
    inactive_threshold: INACTIVE_MS * NANOSECONDS_PER_MS,
  });
  try {
    // From the stream's leader: the consumer may live at a replica that lags behind.
    const last = (await manager.streams.getMessage(stream, { last_by_subj: subject }))?.seq ?? 0;
    let isCurrent = last === 0;
    if (isCurrent) yield { kind: "current", sequence: last };
    for await (const message of delivery.messages()) {
      if (signal.aborted) return;
      // A last message that was overwritten meanwhile comes later, and everything before `last` has come.
      if (!isCurrent && message.sequence > last) {
        isCurrent = true;
        yield { kind: "current", sequence: last };
      }
      yield message;
      if (isCurrent || message.sequence < last) continue;
      isCurrent = true;
      yield { kind: "current", sequence: last };
    }
  } finally {
    manager.consumers.delete(stream, name).catch(() => {}); // it ends by itself, too
  }
}

interface Delivery extends Disposable {
  readonly inbox: string;
  /** Ends when the signal aborts; throws when a message may be missing. */
  messages(): AsyncGenerator<StreamEvent & { kind: "message" }>;
}

function receive({ connection, clock, signal }: WatchStreamOptions): Delivery {
  const inbox = createInbox();
  const received = createChanges();
  const ended = new AbortController();
  const queue: (StreamEvent & { kind: "message" })[] = [];
  let failure: Error | undefined;
  let delivered = 0;
  const fail = (why: string, cause?: unknown) => {
    failure ??= new Error(why, { cause });
    received.notify();
  };
  const onAbort = () => received.notify();
  signal.addEventListener("abort", onAbort, { once: true });
  const subscription = connection.subscribe(inbox, {
    callback(error, message) {
      if (error !== null) return fail(error.message, error);
      received.notify();
      if (message.headers?.code === STATUS_HEARTBEAT_OR_FLOW) return answerFlowControl(message);
      const position = parseDelivery(message.reply ?? "");
      if (position === undefined) return fail(`the server says ${message.headers?.description ?? "something else"}`);
      delivered += 1;
      if (position.delivery !== delivered) return fail("a message was lost on the way");
      const { subject, headers: header } = message;
      const bytes = new Uint8Array(message.data); // a copy: the original is a part of all that was read at once
      queue.push({ kind: "message", subject, bytes, header, sequence: position.stream });
    },
  });
  void failWhenDisconnected(connection, ended.signal, fail);
  void failWhenSilent(() => received.version, clock, ended.signal, fail);

  return {
    inbox,
    async *messages() {
      for (;;) {
        const { version } = received;
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) yield next;
        if (signal.aborted) return;
        if (failure !== undefined) throw failure;
        await received.after(version, ended.signal);
      }
    },
    [Symbol.dispose]() {
      ended.abort();
      signal.removeEventListener("abort", onAbort);
      if (!connection.isClosed()) subscription.unsubscribe();
    },
  };
}

function answerFlowControl(message: Msg): void {
  if (message.reply) message.respond();
}

type Fail = (why: string) => void;

async function failWhenDisconnected(connection: NatsConnection, ended: AbortSignal, fail: Fail): Promise<void> {
  const statuses = connection.status()[Symbol.asyncIterator]();
  ended.addEventListener("abort", () => void statuses.return?.(), { once: true });
  for (let next = await statuses.next(); next.done !== true && !ended.aborted; next = await statuses.next()) {
    if (next.value.type === "disconnect") fail("the connection was lost");
  }
  fail("the connection was closed");
}

async function failWhenSilent(heard: () => number, clock: Clock, ended: AbortSignal, fail: Fail): Promise<void> {
  for (let before = -1; before !== heard(); ) {
    before = heard();
    await clock.sleep(SILENCE_MS, ended).catch(() => {});
    if (ended.aborted) return;
  }
  fail(`silent for ${SILENCE_MS / 1_000} s`);
}

/** Reads `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<tries>.<stream sequence>.<delivery sequence>.…`. */
function parseDelivery(reply: string): { readonly stream: number; readonly delivery: number } | undefined {
  const tokens = reply.split(".");
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK" || tokens.length < 9) return undefined;
  const at = tokens.length === 9 ? 5 : 7;
  return { stream: Number(tokens[at]), delivery: Number(tokens[at + 1]) };
}
