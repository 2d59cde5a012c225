/** @module Makes the buckets, or checks those that are there. */
import type { JetStreamManager, StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { SpanwireError } from "@spanwire/core/errors";
import { type BucketConfig, configDifferences } from "./bucket-config.ts";
import { isStreamGone, toStateError } from "./to-state-error.ts";

/** Idempotent, also for several hubs at once. Throws `invalid` where the server has a bucket otherwise than it was told. */
export async function ensureBuckets(manager: JetStreamManager, configs: readonly BucketConfig[]): Promise<void> {
  for (const config of configs) {
    try {
      await ensureBucket(manager, config);
    } catch (error) {
      throw toStateError(`make nats stream ${config.name}`, error);
    }
  }
}

async function ensureBucket(manager: JetStreamManager, wanted: BucketConfig): Promise<void> {
  const present = await findStream(manager, wanted.name);
  if (present !== undefined && configDifferences(wanted, present).length === 0) return;
  const made =
    present === undefined
      ? await manager.streams.add(wanted)
      : await manager.streams.update(wanted.name, { ...present, ...wanted });
  const differences = configDifferences(wanted, made.config);
  if (differences.length > 0) {
    const message = `nats stream ${wanted.name}: the server has ${differences.join(", ")}; its version may be too old`;
    throw new SpanwireError("invalid", message, { reason: "STATE_CONFIG_NOT_KEPT" });
  }
}

async function findStream(manager: JetStreamManager, name: string): Promise<StreamConfig | undefined> {
  try {
    const { config }: StreamInfo = await manager.streams.info(name);
    return config;
  } catch (error) {
    if (isStreamGone(error)) return undefined;
    throw error;
  }
}
