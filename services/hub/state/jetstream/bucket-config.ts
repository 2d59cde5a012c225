/** @module How the buckets are set up in JetStream, and whether the server really did so. */
import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig } from "@nats-io/jetstream";
import { MAP_BUCKET, MAP_REPUBLISH, MAP_SOURCE, REGISTRY_BUCKET, STATUS_BUCKET } from "@spanwire/core/subjects";

/** A stream as the `nats` tool's key-value commands know it, with what is ours. */
export type BucketConfig = Partial<StreamConfig> & { readonly name: string };

const MAX_RECORD_BYTES = 128 * 1024;
/** A write is told apart from its own retry by compare-and-set, not by a message id. */
const DUPLICATE_WINDOW_NS = 1_000_000_000;

export function streamOf(bucket: string): string {
  return `KV_${bucket}`;
}

export function subjectOf(bucket: string, key: string): string {
  return `$KV.${bucket}.${key}`;
}

/** The three buckets. `replicas` is left to what the server has when undefined. */
export function bucketConfigs(replicas: number | undefined): readonly BucketConfig[] {
  const republish = { src: MAP_SOURCE, dest: MAP_REPUBLISH };
  return [
    { ...bucketConfig(MAP_BUCKET, replicas), republish, max_msg_size: MAX_RECORD_BYTES },
    bucketConfig(REGISTRY_BUCKET, replicas),
    { ...bucketConfig(STATUS_BUCKET, replicas), storage: StorageType.Memory },
  ];
}

function bucketConfig(bucket: string, replicas: number | undefined): BucketConfig {
  return {
    name: streamOf(bucket),
    subjects: [subjectOf(bucket, ">")],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    duplicate_window: DUPLICATE_WINDOW_NS,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: false, // a direct get may be answered by a replica that lags behind a revocation
    ...(replicas === undefined ? {} : { num_replicas: replicas }),
  };
}

/** Lists what the server has otherwise than wanted, as "republish: null instead of {…}": it drops silently what it does not know. */
export function configDifferences(wanted: BucketConfig, got: Partial<StreamConfig>): string[] {
  const actual: Readonly<Record<string, unknown>> = got;
  return Object.entries(wanted)
    .filter(([name, value]) => !holds(actual[name], value))
    .map(([name, value]) => `${name}: ${JSON.stringify(actual[name] ?? null)} instead of ${JSON.stringify(value)}`);
}

/** The server may add fields of its own to an object, and leaves out what is false. */
function holds(actual: unknown, wanted: unknown): boolean {
  if (typeof wanted === "object" && wanted !== null && typeof actual === "object" && actual !== null) {
    const fields: Readonly<Record<string, unknown>> = { ...actual };
    return Object.entries(wanted).every(([name, value]) => holds(fields[name], value));
  }
  return actual === wanted || (wanted === false && actual === undefined);
}
