/** @module Says, signed, what the kernel holds: soon after each change, at most once in 100 ms. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Signer } from "@spanwire/core/records/crypto";
import { appliedKey } from "@spanwire/core/records/key";
import { sealRecord } from "@spanwire/core/records/seal";
import { type GatewayRef, upSubject } from "@spanwire/core/subjects";
import type { Clock, Random } from "@spanwire/core/time";
import type { AcknowledgementSchema } from "@spanwire/proto/record";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import type { Logger } from "@spanwire/runtime/log/logger";
import { startLoop } from "@spanwire/runtime/loop/loop";
import type { Position } from "../subscription/position.ts";
import { timeLeftMs } from "./time-left.ts";

/** What a kernel was shown to hold. */
export interface Applied {
  /** The kernel holds what the map asks up to here. */
  readonly position: Position;
  readonly atMs: number;
  /** Ended records whose peers a dump of all lanes showed absent. */
  readonly absent: readonly AbsentRecord[];
  /** What the kernel refused: the hub then takes nothing for applied that is not named. */
  readonly failures: readonly string[];
}

export interface AbsentRecord {
  readonly key: string;
  readonly incarnation: bigint;
  readonly generation: bigint;
  readonly absentAtMs: number;
}

export interface AcknowledgerOptions {
  readonly self: GatewayRef;
  readonly incarnation: bigint;
  readonly meshId: string;
  readonly signer: Signer;
  /** The connection, once there is one. */
  readonly nats: () => Pick<NatsConnection, "publish"> | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface Acknowledger {
  /** Takes the newest word; absences of earlier ones that were not sent yet go along. */
  note(applied: Applied): void;
  /** Sends the last one again, up to twice: nobody answers it, and it may have been lost. */
  repeat(): void;
  /** The connection is there, or back: sends what was held back, and the last one again. */
  connected(): void;
  readonly done: Promise<void>;
}

const MIN_INTERVAL_MS = 100;
/** An ordinary change is nothing to hurry for: its acknowledgement must not meet the next change on the way. */
const LEISURE_MS = 500;
const MAX_FAILURES = 16;
const MAX_REPEATS = 2;

export function startAcknowledger(options: AcknowledgerOptions): Acknowledger {
  const { self, nats, clock, random, log, signal } = options;
  const subject = upSubject(self, "applied");
  let pending: { readonly applied: Applied; readonly sinceMs: number; readonly restMs: number } | undefined;
  let lastSentMs = Number.NEGATIVE_INFINITY;
  let generation = 0n;
  let last: Uint8Array | undefined;
  let repeats = 0;

  const { wake, done } = startLoop({
    clock,
    random,
    signal,
    async step() {
      const connection = nats();
      if (pending === undefined || connection === undefined) return undefined;
      const nowMs = clock.now();
      const waitMs = Math.max(
        timeLeftMs(pending.sinceMs, pending.restMs, nowMs),
        timeLeftMs(lastSentMs, MIN_INTERVAL_MS, nowMs),
      );
      if (waitMs > 0) return waitMs;
      const { applied } = pending;
      pending = undefined;
      lastSentMs = nowMs;
      // By the clock, so that the count goes on growing after a restart without a file of its own.
      generation = generation + 1n > BigInt(lastSentMs) ? generation + 1n : BigInt(lastSentMs);
      last = await seal(applied, generation, options);
      repeats = 0;
      connection.publish(subject, last);
      return pending === undefined ? undefined : 0;
    },
    onFailure: (err, _failure, retryInMs) => log.debug({ err, retryInMs }, "acknowledging failed"),
  });

  function repeat(): void {
    if (last === undefined || repeats++ >= MAX_REPEATS) return;
    nats()?.publish(subject, last);
  }

  return {
    done,
    note(applied) {
      const absent = [...(pending?.applied.absent ?? []), ...applied.absent];
      const { sinceMs, restMs } = pending ?? { sinceMs: clock.now(), restMs: LEISURE_MS * (1 + random()) };
      pending = { applied: { ...applied, absent }, sinceMs, restMs: absent.length > 0 ? 0 : restMs };
      wake();
    },
    repeat,
    connected() {
      repeats = 0;
      repeat();
      wake();
    },
  };
}

function seal(applied: Applied, generation: bigint, options: AcknowledgerOptions): Promise<Uint8Array> {
  const { self, incarnation, meshId, signer, clock } = options;
  const { position, atMs, absent, failures } = applied;
  const value: MessageInitShape<typeof AcknowledgementSchema> = {
    ...position,
    appliedAt: timestampFromMs(atMs),
    tombstones: absent.map(({ absentAtMs, ...record }) => ({ ...record, absentAt: timestampFromMs(absentAtMs) })),
    failures: failures.slice(0, MAX_FAILURES),
  };
  const payload = {
    key: appliedKey(self.clusterId, self.ordinal),
    incarnation,
    generation,
    issuedAt: timestampFromMs(clock.now()),
    body: { case: "acknowledgement", value } as const,
  };
  return sealRecord(meshId, payload, { signer, sha256 });
}
