/** @module Asks any hub for the whole map, and puts the parts of the answer together. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createInbox, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { SpanwireError } from "@spanwire/core/errors";
import { type GatewayRef, inboxPrefix, upSubject } from "@spanwire/core/subjects";
import { type SnapshotChunk, SnapshotChunkSchema, SnapshotRequestSchema } from "@spanwire/proto/agent";
import type { Position } from "./position.ts";
import { createSnapshotAssembly, type Snapshot } from "./snapshot-assembly.ts";

/**
 * Resolves with the first whole snapshot; each request has an inbox of its own, so that parts of two answers never meet.
 * Rejects with `unavailable` when no hub listens, and with the signal's reason.
 */
export function fetchSnapshot(
  nats: NatsConnection,
  self: GatewayRef,
  { have, signal }: { readonly have: Position; readonly signal: AbortSignal },
): Promise<Snapshot> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const reply = createInbox(inboxPrefix(self));
    const assembly = createSnapshotAssembly();
    const subscription = nats.subscribe(reply, {
      callback(error, message) {
        if (error !== null) return end(() => reject(error));
        if (isNobodyThere(message))
          return end(() => reject(new SpanwireError("unavailable", "snapshot: no hub listens")));
        const chunk = parseChunk(message.data);
        const whole = chunk && assembly.add(chunk);
        if (whole !== undefined) end(() => resolve(whole));
      },
    });
    const onAbort = () => end(() => reject(signal.reason));
    signal.addEventListener("abort", onAbort, { once: true });
    nats.publish(upSubject(self, "snapshot"), toBinary(SnapshotRequestSchema, create(SnapshotRequestSchema, have)), {
      reply,
    });

    function end(settle: () => void): void {
      signal.removeEventListener("abort", onAbort);
      subscription.unsubscribe();
      settle();
    }
  });
}

/** The server's own answer where nobody subscribes to the subject. */
function isNobodyThere({ headers, data }: Msg): boolean {
  return data.length === 0 && headers?.code === 503;
}

/** A part that does not decode is as good as lost. */
function parseChunk(bytes: Uint8Array): SnapshotChunk | undefined {
  try {
    // A copy: the records live on, the buffer that the part came in should not.
    return fromBinary(SnapshotChunkSchema, new Uint8Array(bytes));
  } catch {
    return undefined;
  }
}
