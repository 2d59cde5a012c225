/** @module Asks NATS how it keeps the buckets: in how many copies, where, and whether each write is synced. */
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { MAP_BUCKET, REGISTRY_BUCKET } from "@spanwire/core/subjects";
import type { Clock } from "@spanwire/core/time";
import { z } from "zod";
import type { BucketCopies, StoreFacts } from "../durability.ts";
import { streamOf } from "./bucket-config.ts";
import { toStateError } from "./to-state-error.ts";

export interface StoreConnections {
  /** Of the user that may write state. */
  readonly state: NatsConnection;
  /** Of the system user. */
  readonly system: NatsConnection;
  readonly clock: Clock;
}

/** Source: nats-server, server/monitor.go: JSInfo.Config and server/events.go: ServerInfo. False is left out. */
const jszSchema = z.object({
  server: z.object({ name: z.string() }),
  data: z.object({ config: z.object({ sync_always: z.boolean().default(false) }) }),
});

const JSZ_SUBJECT = "$SYS.REQ.SERVER.PING.JSZ";
/** How long servers are waited for; those that hold copies are known by name, so that all present ones end it sooner. */
const ANSWERS_MS = 3_000;
const LOOKS = 10;
const LOOK_PAUSE_MS = 500;

/** Reads it for what must not be lost; the reports of agents need not be kept. Throws `unavailable`. */
export async function readStoreFacts({ state, system, clock }: StoreConnections): Promise<StoreFacts> {
  const buckets = await readCopies(state, clock);
  const servers = new Set(buckets.flatMap((bucket) => bucket.servers));
  return { buckets, syncsAlways: await readSync(system, servers) };
}

async function readCopies(state: NatsConnection, clock: Clock): Promise<BucketCopies[]> {
  try {
    const manager = await jetstreamManager(state);
    return await Promise.all(
      [MAP_BUCKET, REGISTRY_BUCKET].map(async (bucket) => ({
        bucket,
        servers: await readHolders(manager, bucket, clock),
      })),
    );
  } catch (error) {
    throw toStateError("read how nats keeps the buckets", error);
  }
}

/** The servers that hold the bucket; where copies have just been asked for, waits a little until they are placed. */
async function readHolders(manager: JetStreamManager, bucket: string, clock: Clock): Promise<string[]> {
  for (let look = 1; ; look++) {
    const { config, cluster } = await manager.streams.info(streamOf(bucket));
    const named = [cluster?.leader, ...(cluster?.replicas ?? []).map(({ name }) => name)];
    const holders = named.filter((name) => name !== undefined);
    if (holders.length >= config.num_replicas || look === LOOKS) return holders;
    await clock.sleep(LOOK_PAUSE_MS);
  }
}

/** Servers that are away, and a system user that may not ask, leave out what they would have said. */
async function readSync(system: NatsConnection, servers: ReadonlySet<string>): Promise<Map<string, boolean>> {
  const said = new Map<string, boolean>();
  try {
    const asked = JSON.stringify({ config: true });
    const answers = await system.requestMany(JSZ_SUBJECT, asked, { strategy: "timer", maxWait: ANSWERS_MS });
    for await (const answer of answers) {
      const { data } = jszSchema.safeParse(answer.json());
      if (data !== undefined) said.set(data.server.name, data.data.config.sync_always);
      if ([...servers].every((name) => said.has(name))) break;
    }
  } catch {
    // Not allowed to ask, or nobody answers: then it is not known, which is what is told.
  }
  return said;
}
