/** @module The state port over JetStream. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { MAP_BUCKET, REGISTRY_BUCKET, STATUS_BUCKET } from "@spanwire/core/subjects";
import type { Clock } from "@spanwire/core/time";
import { requireClusterKey } from "../key-rules.ts";
import type { MapBucket, RegistryBucket, StateStore, StatusBucket } from "../port.ts";
import { bucketConfigs } from "./bucket-config.ts";
import { ensureBuckets } from "./ensure-buckets.ts";
import { type BucketContext, NatsBucket } from "./nats-bucket.ts";
import { toStateError } from "./to-state-error.ts";

export interface NatsStateStoreOptions {
  /** Of the user that may write state. */
  readonly connection: NatsConnection;
  /** Copies of each bucket; what the server has is left alone when undefined. */
  readonly replicas?: number;
  readonly clock: Clock;
  /** How long one call may take, 5 s if absent. */
  readonly timeoutMs?: number;
}

const ALL_CLUSTERS = "cluster.*";
/** A new leader of a replicated stream is elected within it. */
const TIMEOUT_MS = 5_000;

/** Opens the buckets, making those that are missing. Throws `unavailable`, or `invalid` for a server that cannot hold them. */
export async function openNatsStateStore(options: NatsStateStoreOptions): Promise<StateStore> {
  const context = await createContext(options);
  await context.ensure();
  return {
    map: mapBucket(new NatsBucket(MAP_BUCKET, context)),
    registry: registryBucket(new NatsBucket(REGISTRY_BUCKET, context)),
    status: statusBucket(new NatsBucket(STATUS_BUCKET, context)),
  };
}

async function createContext(options: NatsStateStoreOptions): Promise<BucketContext> {
  const { connection, replicas, clock, timeoutMs: timeout = TIMEOUT_MS } = options;
  try {
    const manager = await jetstreamManager(connection, { timeout });
    const client = jetstream(connection, { timeout });
    const configs = bucketConfigs(replicas);
    return { connection, client, manager, clock, ensure: () => ensureBuckets(manager, configs) };
  } catch (error) {
    throw toStateError("open the state in nats", error);
  }
}

function reading(bucket: NatsBucket) {
  return {
    get: (key: string) => bucket.get(key),
    list: (prefix?: string) => bucket.list(prefix),
    watch: (options: { prefix?: string; signal: AbortSignal }) => bucket.watch(options),
  };
}

function mapBucket(bucket: NatsBucket): MapBucket {
  return {
    ...reading(bucket),
    put: (key, bytes, { expectedRevision }) => bucket.writeKey(key, bytes, expectedRevision),
    async putCluster(key, bytes, { expectedClustersSequence: sequence }) {
      requireClusterKey(key);
      return bucket.write(key, bytes, { sequence, of: ALL_CLUSTERS });
    },
    lastClustersSequence: () => bucket.lastSequence(ALL_CLUSTERS),
    entries: () => bucket.copy(),
    status: () => bucket.status(),
  };
}

function registryBucket(bucket: NatsBucket): RegistryBucket {
  return {
    ...reading(bucket),
    create: (key, bytes) => bucket.writeKey(key, bytes, 0),
    update: (key, bytes, { expectedRevision }) => bucket.writeKey(key, bytes, expectedRevision),
    delete: (key, expected) =>
      expected === undefined
        ? bucket.write(key, undefined)
        : bucket.writeKey(key, undefined, expected.expectedRevision),
  };
}

function statusBucket(bucket: NatsBucket): StatusBucket {
  return { ...reading(bucket), put: async (key, bytes) => void (await bucket.write(key, bytes)) };
}
