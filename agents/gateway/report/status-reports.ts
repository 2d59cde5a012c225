/**
 * @module Sends the status: every 30 s, and soon after something in it has changed.
 *
 * A head that comes shortly before the interval ends is taken for its end. Gateways that heard it at the same time then
 * report together, so that hub and NATS wake up once for hundreds of statuses: a single one costs them five times as much.
 */
import { toBinary } from "@bufbuild/protobuf";
import type { NatsConnection } from "@nats-io/transport-node";
import { type GatewayRef, upSubject } from "@spanwire/core/subjects";
import type { Clock, Random } from "@spanwire/core/time";
import { type GatewayStatus, GatewayStatusSchema } from "@spanwire/proto/agent";
import type { Logger } from "@spanwire/runtime/log/logger";
import { startLoop } from "@spanwire/runtime/loop/loop";
import { timeLeftMs } from "./time-left.ts";

export interface StatusReportsOptions {
  readonly self: GatewayRef;
  /** The connection, once there is one. */
  readonly nats: () => Pick<NatsConnection, "publish"> | undefined;
  readonly build: () => GatewayStatus;
  /** Called at each interval, also while nothing can be sent: the agent's housekeeping. */
  readonly onInterval: () => void;
  readonly intervalMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface StatusReports {
  /** Says that something changed, or that the connection is back. */
  changed(): void;
  /** Says that a head has come. */
  onHead(): void;
  readonly done: Promise<void>;
}

const INTERVAL_MS = 30_000;
/** A little less than heads are apart at rest: one of them falls into it, and the next one after a report does not. */
const EARLY_MS = 9_500;
/** Between two, however much changes. */
const MIN_INTERVAL_MS = 1_000;

export function startStatusReports(options: StatusReportsOptions): StatusReports {
  const { self, nats, build, onInterval, intervalMs = INTERVAL_MS, clock, random, log, signal } = options;
  const subject = upSubject(self, "status");
  let isChanged = true;
  let [lastSentMs, lastIntervalMs] = [Number.NEGATIVE_INFINITY, clock.now()];
  // Agents that were started together must not all report at once.
  let restMs = intervalMs * random();

  const { wake, done } = startLoop({
    clock,
    random,
    signal,
    async step() {
      const nowMs = clock.now();
      const untilIntervalMs = timeLeftMs(lastIntervalMs, restMs, nowMs);
      if (untilIntervalMs <= 0) {
        lastIntervalMs = nowMs;
        restMs = intervalMs;
        isChanged = true;
        onInterval();
      }
      const connection = nats();
      if (!isChanged || connection === undefined) return timeLeftMs(lastIntervalMs, restMs, clock.now());
      const tooSoonMs = timeLeftMs(lastSentMs, MIN_INTERVAL_MS, clock.now());
      if (tooSoonMs > 0) return tooSoonMs;
      isChanged = false;
      lastSentMs = clock.now();
      connection.publish(subject, toBinary(GatewayStatusSchema, build()));
      return timeLeftMs(lastIntervalMs, restMs, clock.now());
    },
    onFailure: (err, _failure, retryInMs) => log.warn({ err, retryInMs }, "reporting the status failed"),
  });
  return {
    done,
    changed() {
      isChanged = true;
      wake();
    },
    onHead() {
      const earlyMs = Math.min(EARLY_MS, intervalMs / 3);
      if (timeLeftMs(lastIntervalMs, intervalMs - earlyMs, clock.now()) > 0) return;
      restMs = 0;
      wake();
    },
  };
}
