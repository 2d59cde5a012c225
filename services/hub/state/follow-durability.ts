/** @module Whether NATS still keeps what it acknowledges, asked again while the hub runs: servers come, go and change. */
import type { Clock, Random } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import { startLoop } from "@spanwire/runtime/loop/loop";
import type { HubCondition } from "../status/hub-condition.ts";
import { describeDurability, requireDurability, type StoreFacts } from "./durability.ts";

export interface Durability {
  /** What was found when NATS was asked last. */
  conditions(): readonly HubCondition[];
  /** Resolves when the signal has aborted. */
  readonly done: Promise<void>;
}

export interface DurabilityOptions {
  /** Asks NATS; throws `unavailable`. */
  readonly read: () => Promise<StoreFacts>;
  /** What happens to the connections: after each reconnect there may be other servers. */
  readonly statuses: readonly AsyncIterable<{ readonly type: string }>[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const EVERY_MS = 60_000;
/** While something is amiss: what an operator has mended should be seen soon. */
const AGAIN_MS = 5_000;

/** Throws `NOT_DURABLE` for a store that is unfit at the start; later it is only told, because the mesh should go on. */
export async function followDurability(options: DurabilityOptions): Promise<Durability> {
  const { read, statuses, clock, random, log, signal } = options;
  const first = await read();
  requireDurability(first);
  let conditions = describeDurability(first);
  let isFirst = true;
  const loop = startLoop({
    async step() {
      if (!isFirst) conditions = describeDurability(await read());
      isFirst = false;
      return conditions.length === 0 ? EVERY_MS : AGAIN_MS;
    },
    onFailure: (err) => log.warn({ err }, "asking nats how it keeps the state failed"),
    clock,
    random,
    signal,
  });
  for (const status of statuses) void wakeAfterReconnects(status, loop.wake);
  return { conditions: () => conditions, done: loop.done };
}

/** Ends when the connection is closed for good. */
async function wakeAfterReconnects(status: AsyncIterable<{ readonly type: string }>, wake: () => void): Promise<void> {
  for await (const { type } of status) if (type === "reconnect") wake();
}
