/**
 * @module What agents send up: requests are answered into the asker's own inbox, reports are handed on.
 *
 * The connection's user may publish to inboxes only, and the reply subject must lie under the asker's own: otherwise an
 * agent could name a subject of ours as its inbox and have the hub write there.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { type GatewayRef, isOwnInbox, parseUpSubject, type UpKind, upWildcard } from "@spanwire/core/subjects";
import type { Clock } from "@spanwire/core/time";
import { SnapshotRequestSchema, type StoreReply, StoreReplySchema } from "@spanwire/proto/agent";
import { createRateLimiter, type RateLimit } from "../registration/rate-limit.ts";
import { snapshotChunks } from "./snapshot-chunks.ts";
import { type RecordStore, refused, type StoredRecord, storeRecord } from "./store-record.ts";

export interface AnswerOptions extends Omit<RecordStore, "onStored"> {
  /** As the answering user. */
  readonly nats: NatsConnection;
  readonly clock: Clock;
  readonly onReport: (report: Report) => void;
  /** A record of this gateway was stored in the place of another. */
  readonly onStored?: (from: GatewayRef, stored: StoredRecord) => void;
  /** What a gateway was told of a record that it sent. */
  readonly onAnswered?: (from: GatewayRef, reply: StoreReply) => void;
  /** Something that was not answered, and why: counted and logged, never fatal. */
  readonly onDropped: (dropped: Dropped) => void;
  readonly signal: AbortSignal;
}

export interface Report {
  readonly gateway: GatewayRef;
  readonly kind: "applied" | "status";
  readonly bytes: Uint8Array;
}

export interface Dropped {
  readonly subject: string;
  readonly reason: "UNKNOWN_SUBJECT" | "FOREIGN_REPLY" | "RATE_LIMITED" | "MALFORMED" | "NOT_CURRENT" | "FAILED";
  readonly error?: unknown;
}

/** What all hubs together take once; a status is heard by each of them (../status/decisions/0001-heard-not-stored.md). */
const SHARED: readonly UpKind[] = ["snapshot", "statement", "export", "applied"];
const QUEUE = "spanwire-hub";
const CATCH_UP_MS = 1_000;
const STORE_MS = 4_000;

const STATEMENTS: RateLimit = { perSecond: 5, burst: 20 };
const SNAPSHOTS: RateLimit = { perSecond: 1, burst: 5 };
const REPORTS: RateLimit = { perSecond: 20, burst: 60 };

/** Answers until the signal aborts; then resolves when what is under way has been answered. */
export async function answerAgents(options: AnswerOptions): Promise<void> {
  const { nats, signal } = options;
  const handle = createHandler(options);
  const underWay = new Set<Promise<void>>();
  const subscriptions = [
    ...SHARED.map((kind) => nats.subscribe(upWildcard(kind), { queue: QUEUE })),
    nats.subscribe(upWildcard("status")),
  ];
  const end = () => {
    for (const subscription of subscriptions) subscription.unsubscribe();
  };
  signal.addEventListener("abort", end, { once: true });
  const answering = subscriptions.map(async (subscription) => {
    for await (const message of subscription) {
      const handled = handle(message).finally(() => underWay.delete(handled));
      underWay.add(handled);
    }
  });
  await Promise.all(answering);
  await Promise.all(underWay);
}

/** Never rejects: what one agent sends must not end the answers to the others. */
function createHandler(options: AnswerOptions): (message: Msg) => Promise<void> {
  const { clock, onReport, onDropped } = options;
  const limits = {
    statement: createRateLimiter(STATEMENTS),
    snapshot: createRateLimiter(SNAPSHOTS),
    report: createRateLimiter(REPORTS),
  };

  return async (message) => {
    const { subject, data, reply } = message;
    const from = parseUpSubject(subject);
    if (from === undefined) return onDropped({ subject, reason: "UNKNOWN_SUBJECT" });
    const gateway = { clusterId: from.clusterId, ordinal: from.ordinal };
    const name = `${from.clusterId}.${from.ordinal}`;
    try {
      switch (from.kind) {
        case "applied":
        case "status":
          if (!limits.report.take(name, clock.now())) return onDropped({ subject, reason: "RATE_LIMITED" });
          return onReport({ gateway, kind: from.kind, bytes: Uint8Array.from(data) });
        case "snapshot":
        case "statement": {
          if (reply === undefined || !isOwnInbox(reply, gateway))
            return onDropped({ subject, reason: "FOREIGN_REPLY" });
          const allowed = limits[from.kind].take(name, clock.now());
          if (from.kind === "snapshot") {
            // Silence is an answer that the agent's own back-off understands.
            return allowed ? await answerSnapshot(options, message) : onDropped({ subject, reason: "RATE_LIMITED" });
          }
          return await answerStatement(options, message, { gateway, isAllowed: allowed });
        }
        default:
          return onDropped({ subject, reason: "UNKNOWN_SUBJECT" });
      }
    } catch (error) {
      onDropped({ subject, reason: "FAILED", error });
    }
  };
}

/**
 * Always the whole map: an agent asks only when it doubts what it holds, and its position alone would not tell why. One
 * that is ahead of this replica is made to wait for it a little.
 */
async function answerSnapshot({ map, onDropped, signal }: AnswerOptions, message: Msg): Promise<void> {
  const { subject } = message;
  const have = decodeRequest(message.data);
  if (have === undefined) return onDropped({ subject, reason: "MALFORMED" });
  const sequence = have.lineage === map.lineage ? Number(have.sequence) : 0;
  const waiting = AbortSignal.any([signal, AbortSignal.timeout(CATCH_UP_MS)]);
  await map.waitFor(sequence, waiting).catch(() => {}); // the store may have been rolled back: then there is no more
  if (!map.isCurrent) return onDropped({ subject, reason: "NOT_CURRENT" });
  for (const each of snapshotChunks(map.snapshot())) message.respond(each);
}

interface Asker {
  readonly gateway: GatewayRef;
  readonly isAllowed: boolean;
}

async function answerStatement(options: AnswerOptions, message: Msg, { gateway, isAllowed }: Asker): Promise<void> {
  const outcome = isAllowed
    ? await storeInTime(options, message, gateway)
    : refused("RATE_LIMITED", "too many statements: send the newest again in a second", { retryable: true });
  message.respond(toBinary(StoreReplySchema, outcome));
  options.onAnswered?.(gateway, outcome);
}

/** An agent that is told to come back later need not wait until its patience ends. */
async function storeInTime(options: AnswerOptions, { subject, data }: Msg, from: GatewayRef): Promise<StoreReply> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(STORE_MS)]);
  try {
    const onStored = (stored: StoredRecord) => options.onStored?.(from, stored);
    return await storeRecord({ ...options, onStored }, Uint8Array.from(data), signal);
  } catch (error) {
    options.onDropped({ subject, reason: "FAILED", error });
    return refused("STORE_AWAY", "the hub cannot reach its store: send it again later", { retryable: true });
  }
}

function decodeRequest(bytes: Uint8Array) {
  try {
    return fromBinary(SnapshotRequestSchema, bytes);
  } catch {
    return undefined;
  }
}
