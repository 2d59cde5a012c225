/** @module The audit log in JetStream: the stream `sw-audit`, in which nothing but a whole beginning can be removed. */
import {
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { AUDIT_STREAM, AUDIT_SUBJECT } from "@spanwire/core/subjects";
import type { BucketConfig } from "../state/jetstream/bucket-config.ts";
import { ensureBuckets } from "../state/jetstream/ensure-buckets.ts";
import { isConflict, isStreamGone, toStateError } from "../state/jetstream/to-state-error.ts";
import type { AuditStore } from "./audit-store.ts";

export interface NatsAuditStoreOptions {
  /** Of the user that may write state. */
  readonly connection: NatsConnection;
  /** Copies of the stream; what the server has is left alone when undefined. */
  readonly replicas?: number | undefined;
  readonly timeoutMs?: number;
}

interface Opened {
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
}

const TIMEOUT_MS = 5_000;

/** Opens nothing yet: the stream is made by the first call that reaches NATS, so that no hub waits for it. */
export function createNatsAuditStore(options: NatsAuditStoreOptions): AuditStore {
  const { connection, timeoutMs: timeout = TIMEOUT_MS } = options;
  let opened: Promise<Opened> | undefined;
  const open = () => {
    opened ??= openStream(options, timeout).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  const call = async <T>(doing: string, work: (opened: Opened) => Promise<T>): Promise<T> => {
    try {
      return await work(await open());
    } catch (error) {
      if (isStreamGone(error)) opened = undefined; // somebody removed it: the next call makes it again
      throw toStateError(`${doing} the audit log`, error);
    }
  };
  return {
    append: (bytes, { expectedLast }) =>
      call("write", async ({ client }) => {
        try {
          const { seq } = await client.publish(AUDIT_SUBJECT, bytes, { expect: { lastSequence: expectedLast } });
          return { ok: true, revision: seq };
        } catch (error) {
          if (!isConflict(error)) throw error;
          return { ok: false, conflict: `${AUDIT_STREAM}: its last block is not ${expectedLast}` };
        }
      }),
    read: (position) =>
      call("read", async ({ manager }) => {
        const query = { seq: Math.max(1, position), next_by_subj: AUDIT_SUBJECT };
        const message = await manager.streams.getMessage(AUDIT_STREAM, query);
        return message === null ? undefined : { position: message.seq, bytes: new Uint8Array(message.data) };
      }),
    status: () =>
      call("look at", async ({ manager }) => {
        const { state } = await manager.streams.info(AUDIT_STREAM);
        const first = Math.max(1, state.first_seq); // 0 before the first block
        return { first, last: state.last_seq, sizeBytes: state.bytes };
      }),
    trim: (before) =>
      call("trim", async ({ manager }) => {
        await manager.streams.purge(AUDIT_STREAM, { seq: before });
      }),
  };

  async function openStream({ replicas }: NatsAuditStoreOptions, timeout: number): Promise<Opened> {
    const manager = await jetstreamManager(connection, { timeout });
    await ensureBuckets(manager, [streamConfig(replicas)]);
    return { manager, client: jetstream(connection, { timeout }) };
  }
}

/** Without a limit of the server's own: what is removed is removed by a hub that says so in the log. */
function streamConfig(replicas: number | undefined): BucketConfig {
  return {
    name: AUDIT_STREAM,
    subjects: [AUDIT_SUBJECT],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    deny_delete: true,
    allow_direct: false,
    ...(replicas === undefined ? {} : { num_replicas: replicas }),
  };
}
