/**
 * @module Banned NATS users: kept in the registry for ever, told to the servers for as long as they could come.
 *
 * The server refuses a user that the account's token names, and closes its connection. What is to be told is compared
 * with what the server holds and told until it is so: a restarted server, another hub's ban or a lost answer need no code
 * of their own.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock } from "@spanwire/core/time";
import { decodeNatsJwt, type NatsClaims } from "@spanwire/runtime/crypto/nats-jwt";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { createInTurn } from "@spanwire/runtime/loop/in-turn";
import { GATEWAY_LIFETIME_MS } from "../authority/ca.ts";
import type { RegistryBucket } from "../state/port.ts";
import { refusesUsers } from "./account-token.ts";
import type { NatsOperator } from "./operator.ts";

export interface Bans {
  isBanned(nkey: string): boolean;
  /** Bans the user for ever and returns when the server refuses it; its connection is closed then. Idempotent. */
  ban(nkey: string): Promise<void>;
  /** Resolves when the signal has aborted. */
  readonly done: Promise<void>;
}

export interface BanOptions {
  readonly registry: RegistryBucket;
  readonly operator: NatsOperator;
  /** As the system user. */
  readonly system: NatsConnection;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
  readonly signal: AbortSignal;
}

const PREFIX = "ban.";
const UPDATE_SUBJECT = "$SYS.REQ.CLAIMS.UPDATE";
const TIMEOUT_MS = 2_000;
const RETRY_MS = 1_000;
/** In case everything else was missed. */
const CHECK_MS = 10_000;
/** Of two hubs that tell at the same time, the last one's word stays: the other one looks, and tells again. */
const ATTEMPTS = 10;
/** Longer than any token lives: naming a user beyond that would only make the account's token grow for ever. */
const TOLD_FOR_MS = 7 * GATEWAY_LIFETIME_MS;

/**
 * Reads the bans, tells them, and follows those that other hubs write. Returns when the server has been told once; rejects
 * with the signal's reason, and with `unavailable` when the registry is away.
 */
export async function followBans(options: BanOptions): Promise<Bans> {
  const { registry, system, clock, signal } = options;
  const banned = new Map<string, number>();
  const inTurn = createInTurn();
  const telling = () => inTurn(() => tell(options, banned));
  const told = Promise.withResolvers<void>();
  for (const { key, bytes } of await registry.list(PREFIX)) banned.set(nkeyOf(key), readTime(bytes));
  const done = Promise.all([follow, tellReconnected, check].map((step) => repeat(options, step))).then(() => undefined);
  await Promise.race([told.promise, done]);
  signal.throwIfAborted();
  return {
    isBanned: (nkey) => banned.has(nkey),
    async ban(nkey) {
      if (!banned.has(nkey)) {
        const nowMs = clock.now();
        await keep(registry, nkey, nowMs);
        banned.set(nkey, nowMs);
      }
      await telling();
    },
    done,
  };

  async function follow(): Promise<void> {
    let found: Set<string> | undefined = new Set();
    for await (const event of registry.watch({ prefix: PREFIX, signal })) {
      if (event.kind === "put") {
        banned.set(nkeyOf(event.entry.key), readTime(event.entry.bytes));
        found?.add(nkeyOf(event.entry.key));
      } else if (event.kind === "current") {
        // A registry that was rolled back has lost bans that we know.
        for (const [nkey, atMs] of banned) if (found?.has(nkey) !== true) await keep(registry, nkey, atMs);
        found = undefined;
      }
      if (found === undefined) await telling();
    }
  }

  async function tellReconnected(): Promise<void> {
    await telling();
    told.resolve();
    await nextReconnect(system, signal);
  }

  async function check(): Promise<void> {
    await clock.sleep(CHECK_MS, signal);
    await telling();
  }
}

/** What `GatewayUsers.isBanned` asks. */
export async function isBannedInStore(registry: RegistryBucket, nkey: string): Promise<boolean> {
  return (await registry.get(`${PREFIX}${nkey}`)) !== undefined;
}

async function nextReconnect(system: NatsConnection, signal: AbortSignal): Promise<void> {
  const statuses = system.status()[Symbol.asyncIterator]();
  const end = () => void statuses.return?.();
  signal.addEventListener("abort", end, { once: true });
  for (let next = await statuses.next(); !next.done && next.value.type !== "reconnect"; ) next = await statuses.next();
  signal.removeEventListener("abort", end);
  end();
}

async function repeat({ clock, onFailure, signal }: BanOptions, step: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await step();
    } catch (error) {
      if (signal.aborted) return;
      onFailure(error);
      await clock.sleep(RETRY_MS, signal).catch(() => undefined);
    }
  }
}

async function keep(registry: RegistryBucket, nkey: string, atMs: number): Promise<void> {
  await registry.create(`${PREFIX}${nkey}`, new TextEncoder().encode(String(atMs)));
}

async function tell({ operator, system, clock }: BanOptions, banned: ReadonlyMap<string, number>): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const nowMs = clock.now();
    const isExpired = (nkey: string) => (banned.get(nkey) ?? 0) < nowMs - TOLD_FOR_MS;
    const { refused = [], expired = [] } = Object.groupBy(banned.keys(), (nkey) =>
      isExpired(nkey) ? "expired" : "refused",
    );
    const users = { refused: new Set(refused), expired: new Set(expired) };
    const present = await lookUpAccount(system, operator.meshAccount);
    if (refusesUsers(present, users)) return;
    await updateAccount(system, operator.refuseUsers(present, users, nowMs));
  }
  throw new SpanwireError("unavailable", "ban users: the server does not keep the account as it is told");
}

/** The account's token as the server holds it. */
export async function lookUpAccount(system: NatsConnection, account: string): Promise<NatsClaims> {
  const subject = `$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`;
  const token = (await request(system, subject, "")).string();
  if (token === "") {
    const message = `nats account ${account}: the server does not know it; its resolver must be of type full`;
    throw new SpanwireError("invalid", message, { reason: "NATS_ACCOUNT_UNKNOWN" });
  }
  return decodeNatsJwt(token, createVerify());
}

async function updateAccount(system: NatsConnection, token: string): Promise<void> {
  const answer = await request(system, UPDATE_SUBJECT, token);
  const { error, data } = answer.json<{ error?: { description?: string }; data?: { code?: number } }>();
  if (error === undefined && data?.code === 200) return;
  const why = error?.description ?? "it gives no reason";
  throw new SpanwireError("unavailable", `ban users: the server refuses the account's token: ${why}`);
}

async function request(system: NatsConnection, subject: string, payload: string) {
  try {
    return await system.request(subject, payload, { timeout: TIMEOUT_MS });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SpanwireError("unavailable", `ban users: no answer on ${subject}: ${why}`, { cause });
  }
}

function nkeyOf(key: string): string {
  return key.slice(PREFIX.length);
}

function readTime(bytes: Uint8Array): number {
  return Number(new TextDecoder().decode(bytes));
}
