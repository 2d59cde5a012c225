/** @module The model hub behind a real NATS server, for tests: what is written is published, requests are answered. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { headers, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { HEAD_SUBJECT, mapSubject, UP_WILDCARD } from "@spanwire/core/subjects";
import { SnapshotChunkSchema, StoreReplySchema } from "@spanwire/proto/agent";
import { PayloadSchema, RecordSchema } from "@spanwire/proto/record";
import type { Message } from "./intake.ts";
import type { ModelHub } from "./model-hub.ts";

export interface ModelRelay {
  /** How many snapshots were asked for. */
  readonly snapshots: number;
  /** Keys of the records that were sent up. */
  readonly received: readonly string[];
  /** Writes a record and publishes it, unless it is to be lost on the way. */
  write(key: string, bytes: Uint8Array, options?: { readonly lost: boolean }): void;
  publish(message: Message): void;
  head(hubTimeMs?: number): Promise<void>;
  /** Answers nothing any more. */
  mute(): void;
}

/** How many records one part of a snapshot holds here: few, so that there are several. */
const CHUNK_RECORDS = 3;

export function startModelRelay(nats: NatsConnection, hub: () => ModelHub): ModelRelay {
  const received: string[] = [];
  let snapshots = 0;
  let muted = false;
  nats.subscribe(UP_WILDCARD, {
    callback(_error, message) {
      if (muted) return;
      if (message.subject.endsWith(".snapshot")) answerSnapshot(message);
      if (message.subject.endsWith(".statement")) answerStatement(message);
    },
  });

  function answerSnapshot(request: Msg): void {
    snapshots += 1;
    const { position, digest, entries } = hub().snapshot();
    const count = Math.max(1, Math.ceil(entries.length / CHUNK_RECORDS));
    for (let index = 0; index < count; index++) {
      const part = entries.slice(index * CHUNK_RECORDS, (index + 1) * CHUNK_RECORDS);
      const chunk = create(SnapshotChunkSchema, { ...position, index, count, digest, entries: [...part] });
      request.respond(toBinary(SnapshotChunkSchema, chunk));
    }
  }

  function answerStatement(request: Msg): void {
    const { key, incarnation, generation } = fromBinary(PayloadSchema, fromBinary(RecordSchema, request.data).payload);
    received.push(key);
    const message = hub().write(key, Uint8Array.from(request.data));
    const held = hub().map.get(key)?.order ?? { incarnation: 0n, generation: 0n };
    const isHeld = held.incarnation === incarnation && held.generation === generation;
    const refused = { reason: "STALE_ORDER", message: "a newer one is stored", ...held };
    const outcome = isHeld
      ? ({ case: "stored", value: { ...hub().position, ...held } } as const)
      : ({ case: "refused", value: refused } as const);
    request.respond(toBinary(StoreReplySchema, create(StoreReplySchema, { outcome })));
    if (message !== undefined) publish(message);
  }

  function publish({ key, bytes, sequence }: Message): void {
    const header = headers();
    header.set("Nats-Sequence", `${sequence}`);
    nats.publish(mapSubject(key), bytes, { headers: header });
  }

  return {
    received,
    get snapshots() {
      return snapshots;
    },
    write(key, bytes, { lost } = { lost: false }) {
      const message = hub().write(key, bytes);
      if (message !== undefined && !lost) publish(message);
    },
    publish,
    async head(hubTimeMs = Date.now()) {
      nats.publish(HEAD_SUBJECT, await hub().head(hubTimeMs));
    },
    mute() {
      muted = true;
    },
  };
}
