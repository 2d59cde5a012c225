/**
 * @module Banned NATS users: kept in the registry for ever, told to the servers until they know.
 *
 * The server closes the connection of a user that the account's token revokes. The token is made anew from all bans, so
 * telling it twice, or by two hubs, is the same as once.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock } from "@spanwire/core/time";
import type { RegistryBucket } from "../state/port.ts";
import type { NatsOperator } from "./operator.ts";

export interface Bans {
  isBanned(nkey: string): boolean;
  /** Bans the user for ever and returns when the server has been told; its connection is closed then. Idempotent. */
  ban(nkey: string): Promise<void>;
  /** Resolves when the signal has aborted. */
  readonly done: Promise<void>;
}

export interface BanOptions {
  readonly registry: RegistryBucket;
  readonly operator: NatsOperator;
  /** As the system user; undefined where somebody else manages the accounts (said in the README). */
  readonly system: NatsConnection | undefined;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
  readonly signal: AbortSignal;
}

const PREFIX = "ban.";
const PUSH_SUBJECT = "$SYS.REQ.CLAIMS.UPDATE";
const PUSH_TIMEOUT_MS = 5_000;
const RETRY_MS = 1_000;
/** Tokens issued before it are refused: the year 2100. */
const FOR_EVER_MS = 4_102_444_800_000;

/** Reads the bans, tells them, and follows those that other hubs write. Returns when the server has been told once. */
export async function followBans(options: BanOptions): Promise<Bans> {
  const { registry, clock, onFailure, signal } = options;
  const banned = new Map<string, number>();
  for (const { key, bytes } of await registry.list(PREFIX)) banned.set(nkeyOf(key), readTime(bytes));
  await push(options, banned);
  return {
    isBanned: (nkey) => banned.has(nkey),
    async ban(nkey) {
      if (!banned.has(nkey)) {
        const nowMs = clock.now();
        await registry.create(`${PREFIX}${nkey}`, new TextEncoder().encode(String(nowMs)));
        banned.set(nkey, nowMs);
      }
      await push(options, banned);
    },
    done: follow(),
  };

  async function follow(): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const event of registry.watch({ prefix: PREFIX, signal })) {
          if (event.kind !== "put" || banned.has(nkeyOf(event.entry.key))) continue;
          banned.set(nkeyOf(event.entry.key), readTime(event.entry.bytes));
          await push(options, banned);
        }
      } catch (error) {
        if (signal.aborted) return;
        onFailure(error);
        await clock.sleep(RETRY_MS, signal).catch(() => undefined);
      }
    }
  }
}

/** Reads the store itself: at least as new as any map that was read before. */
export async function isBannedInStore(registry: RegistryBucket, nkey: string): Promise<boolean> {
  return (await registry.get(`${PREFIX}${nkey}`)) !== undefined;
}

async function push({ operator, system, clock }: BanOptions, banned: ReadonlyMap<string, number>): Promise<void> {
  if (system === undefined || banned.size === 0) return;
  const nowMs = clock.now();
  const revocations = new Map([...banned.keys()].map((nkey) => [nkey, FOR_EVER_MS]));
  const token = operator.meshAccountJwt({ nowMs, revocations });
  const answer = await system.request(PUSH_SUBJECT, token, { timeout: PUSH_TIMEOUT_MS });
  const { error, data } = answer.json<{ error?: { description?: string }; data?: { code?: number } }>();
  if (error !== undefined || data?.code !== 200) {
    throw new SpanwireError(
      "unavailable",
      `ban users: the server refused the account: ${error?.description ?? "no reason"}`,
    );
  }
}

function nkeyOf(key: string): string {
  return key.slice(PREFIX.length);
}

function readTime(bytes: Uint8Array): number {
  return Number(new TextDecoder().decode(bytes));
}
