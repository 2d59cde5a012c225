/** @module One bucket of JetStream: reads from the stream's leader, writes by compare-and-set. */
import type { JetStreamClient, JetStreamManager, StoredMsg } from "@nats-io/jetstream";
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "@spanwire/core/time";
import { requireKey, requirePrefix } from "../key-rules.ts";
import type { Bucket, BucketEvent, Entry, MapStatus, Written } from "../port.ts";
import { streamOf, subjectOf } from "./bucket-config.ts";
import { isConflict, isStreamGone, toStateError } from "./to-state-error.ts";
import { watchStream } from "./watch-stream.ts";

export interface BucketContext {
  readonly connection: NatsConnection;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly clock: Clock;
  /** Makes the buckets again where somebody removed them. */
  readonly ensure: () => Promise<void>;
}

/** What must not have changed since the caller read it. */
export interface Expectation {
  readonly sequence: number;
  /** The subjects that the sequence is of, if not the key's own. */
  readonly of?: string;
}

const OPERATION_HEADER = "KV-Operation";
const DELETION = "DEL";

export class NatsBucket implements Bucket {
  readonly #name: string;
  readonly #context: BucketContext;

  constructor(name: string, context: BucketContext) {
    this.#name = name;
    this.#context = context;
  }

  async get(key: string): Promise<Entry | undefined> {
    requireKey(key);
    const last = await this.#last(key);
    if (last === undefined || isMarker(last.header)) return undefined;
    return { key, bytes: new Uint8Array(last.data), revision: last.seq };
  }

  async list(prefix = ""): Promise<readonly Entry[]> {
    return (await this.copy(prefix)).entries;
  }

  /** All entries under the prefix as of one sequence. */
  async copy(prefix = ""): Promise<{ readonly sequence: number; readonly entries: readonly Entry[] }> {
    const found = new Map<string, Entry>();
    const done = new AbortController();
    let sequence = 0;
    for await (const event of this.watch({ prefix, signal: done.signal })) {
      if (event.kind === "put") found.set(event.entry.key, event.entry);
      if (event.kind !== "current") continue;
      sequence = event.sequence;
      done.abort();
    }
    return { sequence, entries: [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1)) };
  }

  async *watch({ prefix = "", signal }: { prefix?: string; signal: AbortSignal }): AsyncGenerator<BucketEvent> {
    requirePrefix(prefix);
    const { connection, manager, clock } = this.#context;
    const [stream, subject] = [streamOf(this.#name), subjectOf(this.#name, `${prefix}>`)];
    const skipped = subjectOf(this.#name, "").length;
    try {
      for await (const event of watchStream({ connection, manager, clock, stream, subject, signal })) {
        if (event.kind === "current") yield event;
        else yield toBucketEvent(event.subject.slice(skipped), event);
      }
    } catch (error) {
      await this.#rethrow(`watch ${this.#name}`, error);
    }
  }

  async status(): Promise<MapStatus> {
    try {
      const { created, state } = await this.#context.manager.streams.info(streamOf(this.#name));
      return { created, lastSequence: state.last_seq, keys: state.num_subjects ?? 0 };
    } catch (error) {
      return this.#rethrow(`read status of ${this.#name}`, error);
    }
  }

  /** The sequence of the last write to any key that matches, wildcards allowed; 0 when there was none. */
  async lastSequence(keys: string): Promise<number> {
    return (await this.#last(keys))?.seq ?? 0;
  }

  /** Writes when the key's revision is the expected one; a deleted key counts as 0, whatever its marker's sequence. */
  async writeKey(key: string, bytes: Uint8Array | undefined, expectedRevision: number): Promise<Written> {
    const written = await this.write(key, bytes, { sequence: expectedRevision });
    if (written.ok || expectedRevision !== 0) return written;
    const last = await this.#last(key);
    return last !== undefined && isMarker(last.header) ? this.write(key, bytes, { sequence: last.seq }) : written;
  }

  /** Writes bytes, or a delete marker for undefined. */
  async write(key: string, bytes: Uint8Array | undefined, expected?: Expectation): Promise<Written> {
    requireKey(key);
    try {
      const { seq } = await this.#context.client.publish(subjectOf(this.#name, key), bytes, {
        ...(bytes === undefined && { headers: deletion() }),
        ...(expected && {
          expect: {
            lastSubjectSequence: expected.sequence,
            ...(expected.of !== undefined && { lastSubjectSequenceSubject: subjectOf(this.#name, expected.of) }),
          },
        }),
      });
      return { ok: true, revision: seq };
    } catch (error) {
      if (isConflict(error)) return { ok: false, conflict: describeConflict(this.#name, key, expected, error) };
      return this.#rethrow(`write ${this.#name} key "${key}"`, error);
    }
  }

  async #last(keys: string): Promise<StoredMsg | undefined> {
    const { manager } = this.#context;
    try {
      const query = { last_by_subj: subjectOf(this.#name, keys) };
      return (await manager.streams.getMessage(streamOf(this.#name), query)) ?? undefined;
    } catch (error) {
      return this.#rethrow(`read ${this.#name} key "${keys}"`, error);
    }
  }

  /** A bucket that somebody removed is made again before the error is passed on, so that the next try finds one. */
  async #rethrow(doing: string, error: unknown): Promise<never> {
    if (isStreamGone(error)) await this.#context.ensure();
    throw toStateError(doing, error);
  }
}

function toBucketEvent(
  key: string,
  {
    sequence,
    bytes,
    header,
  }: { readonly sequence: number; readonly bytes: Uint8Array; readonly header: MsgHdrs | undefined },
): BucketEvent {
  if (isMarker(header)) return { kind: "delete", key, revision: sequence };
  return { kind: "put", entry: { key, bytes, revision: sequence } };
}

function deletion(): MsgHdrs {
  const header = headers();
  header.set(OPERATION_HEADER, DELETION);
  return header;
}

/** Deleted or purged by anybody, us or an operator's tool. */
function isMarker(header: MsgHdrs | undefined): boolean {
  return header !== undefined && header.get(OPERATION_HEADER) !== "";
}

function describeConflict(bucket: string, key: string, expected: Expectation | undefined, error: unknown): string {
  const of = expected?.of === undefined ? "" : ` of ${expected.of}`;
  const said = error instanceof Error ? error.message : String(error);
  return `${bucket} key "${key}": revision${of} is not ${expected?.sequence} (${said})`;
}
