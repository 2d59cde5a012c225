/**
 * @module Sends records up until the hub holds them: our own statement, and whatever the store has lost of what we hold.
 *
 * Any signed record may be handed back on the statement's subject: it proves itself, and the hub takes it if it is
 * newer than its own. Whether our statement is stored is read from the map, where it comes back to us like any other.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { NatsConnection } from "@nats-io/transport-node";
import { SpanwireError } from "@spanwire/core/errors";
import { equalBytes } from "@spanwire/core/records/digest";
import { gatewayKey } from "@spanwire/core/records/key";
import { type OpenedRecord, signedBytes } from "@spanwire/core/records/open";
import { compareOrders, type Order } from "@spanwire/core/records/order";
import type { RecordMap } from "@spanwire/core/records/record-map";
import { type GatewayRef, upSubject } from "@spanwire/core/subjects";
import type { Clock, Random } from "@spanwire/core/time";
import { StoreReplySchema } from "@spanwire/proto/agent";
import type { Logger } from "@spanwire/runtime/log/logger";
import { startLoop } from "@spanwire/runtime/loop/loop";
import { rankOf } from "./offer-all.ts";
import type { OwnStatement, SealedStatement, StatementContent } from "./own-statement.ts";
import type { Subscription } from "./subscription.ts";

export interface UplinkOptions {
  readonly self: GatewayRef;
  /** The connection, once there is one. */
  readonly nats: () => NatsConnection | undefined;
  readonly own: OwnStatement;
  /** What the statement should say now; undefined while that is not known yet. */
  readonly content: () => Promise<StatementContent | undefined>;
  readonly map: RecordMap;
  readonly subscription: Pick<Subscription, "missing" | "giveUp">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface Uplink {
  /** Look again: the connection is back, or what the statement should say has changed. */
  wake(): void;
  /** Why the hub does not take our statement; undefined while all is well. */
  readonly problem: string | undefined;
  readonly done: Promise<void>;
}

const TIMEOUT_MS = 5_000;
/** Stored, but not come back by the map yet. */
const LOOK_AGAIN_MS = 5_000;
const AFTER_REFUSAL_MS = 60_000;
const MAX_TRIES = 3;
/** Between two records that are handed back: others hand back the same, and what one of them did we need not do. */
const HAND_BACK_MS = 100;

export function startUplink(options: UplinkOptions): Uplink {
  const { nats, clock, random, log, signal } = options;
  let problem: string | undefined;

  const { wake, done } = startLoop({
    clock,
    random,
    signal,
    async step() {
      const connection = nats();
      const content = await options.content();
      if (connection === undefined || content === undefined) return undefined;
      const sent = await sendStatement(connection, content, options);
      if (sent.kind === "refused" && problem !== sent.message) log.error({}, sent.message);
      problem = sent.kind === "refused" ? sent.message : undefined;
      if (await handBackOne(connection, options)) return HAND_BACK_MS * (0.5 + random());
      return sent.kind === "held" ? undefined : sent.kind === "sent" ? LOOK_AGAIN_MS : AFTER_REFUSAL_MS;
    },
    onFailure(err, _failure, retryInMs) {
      problem = err instanceof Error ? err.message : String(err);
      log.debug({ err, retryInMs }, "sending records up failed");
    },
  });
  return {
    wake,
    done,
    get problem() {
      return problem;
    },
  };
}

type Sent = { readonly kind: "held" | "sent" } | { readonly kind: "refused"; readonly message: string };

/** Sends our statement unless the map shows it stored. */
async function sendStatement(nats: NatsConnection, content: StatementContent, options: UplinkOptions): Promise<Sent> {
  const { own, map, self } = options;
  const held = map.get(gatewayKey(self.clusterId, self.ordinal));
  const isOurs = held !== undefined && own.sealed !== undefined && isSame(held, own.sealed);
  let above = isOurs ? undefined : held?.order;
  for (let tries = 0; ; tries++) {
    const sealed = await own.seal(content, above);
    const present = map.get(sealed.key);
    if (present !== undefined && isSame(present, sealed)) return { kind: "held" };
    const reply = await store(nats, self, sealed.bytes);
    if (reply.kind === "stored" && compareOrders(reply.order, sealed.order) <= 0) return { kind: "sent" };
    // The hub holds another one of this order or a higher one: our disk was lost, or is an old copy.
    if (tries < MAX_TRIES && compareOrders(reply.order, sealed.order) >= 0) above = reply.order;
    else
      return { kind: "refused", message: `own statement: ${reply.kind === "refused" ? reply.message : "not taken"}` };
  }
}

/**
 * Sends one record that the store has lost; tells whether there may be more. Authority first, or the hub could not verify
 * what follows; among equals any, because every agent does the same.
 */
async function handBackOne(nats: NatsConnection, { self, subscription, random, log }: UplinkOptions): Promise<boolean> {
  const byRank = Map.groupBy(subscription.missing.values(), ({ key }) => rankOf(key));
  const records = byRank.get(Math.min(...byRank.keys())) ?? [];
  const record = records[Math.floor(random() * records.length)];
  if (record === undefined) return false;
  const reply = await store(nats, self, record.bytes);
  log.info({ key: record.key, outcome: reply.kind }, "handed back a record that the store has lost");
  subscription.giveUp(record.key); // stored, or not to be had: the next snapshot tells
  return true;
}

type Reply =
  | { readonly kind: "stored"; readonly order: Order }
  /** With the order that the hub holds, zeros where it holds none. */
  | { readonly kind: "refused"; readonly order: Order; readonly message: string };

/** Throws `unavailable` for a refusal that may pass, and what NATS throws when nobody answers. */
async function store(nats: NatsConnection, self: GatewayRef, record: Uint8Array): Promise<Reply> {
  const message = await nats.request(upSubject(self, "statement"), record, { timeout: TIMEOUT_MS });
  const { outcome } = fromBinary(StoreReplySchema, message.data);
  if (outcome.case === "stored") return { kind: "stored", order: outcome.value };
  if (outcome.case === undefined) throw new SpanwireError("unavailable", "hub: an answer of an unknown kind");
  if (outcome.value.retryable) throw new SpanwireError("unavailable", `hub: ${outcome.value.message}`);
  return { kind: "refused", order: outcome.value, message: `${outcome.value.message} (${outcome.value.reason})` };
}

/** By what is signed: the envelope may differ on the way. */
function isSame(held: OpenedRecord, sealed: SealedStatement): boolean {
  return equalBytes(signedBytes(held), signedBytes(sealed));
}
