/**
 * @module What all gateways last said, so that any replica can answer for any gateway: acknowledgements live from the
 * status bucket, statuses as this hub heard them itself (decisions/0001-heard-not-stored.md).
 */
import { appliedKey } from "@spanwire/core/records/key";
import type { RecordMap } from "@spanwire/core/records/record-map";
import type { GatewayRef } from "@spanwire/core/subjects";
import type { Clock, Random } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import { type Changes, createChanges } from "@spanwire/runtime/loop/changes";
import { startLoop } from "@spanwire/runtime/loop/loop";
import type { StatusBucket } from "../state/port.ts";
import { type Acknowledged, type GatewayReport, NOTHING_HEARD, withAcknowledgement } from "./gateway-report.ts";
import { decodeReport, type ReportEntry } from "./report-entry.ts";

export interface ReportView {
  /** Of any gateway, `NOTHING_HEARD` before its first report. */
  get(gateway: GatewayRef): GatewayReport;
  /** Takes a status of this moment; keeps the bytes. */
  hear(gateway: GatewayRef, statusBytes: Uint8Array): void;
  /** When this view began: who has been silent since may have been heard before. */
  readonly sinceMs: number;
  readonly changes: Changes;
  /** Resolves when the signal has aborted and nothing runs any more. */
  readonly done: Promise<void>;
}

export interface ReportViewOptions {
  readonly status: StatusBucket;
  /** Verifies acknowledgements. */
  readonly records: RecordMap;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Starts to follow the bucket; returns at once, also while the store is away, and keeps what it knows meanwhile. */
export function followReports(options: ReportViewOptions): ReportView {
  const { status, records, clock, random, log, signal } = options;
  const reports = new Map<string, GatewayReport>();
  const changes = createChanges();
  const sinceMs = clock.now();
  const get = (gateway: GatewayRef) => reports.get(nameOf(gateway)) ?? NOTHING_HEARD;
  const set = (gateway: GatewayRef, report: GatewayReport) => {
    reports.set(nameOf(gateway), report);
    changes.notify();
  };
  const { done } = startLoop({
    clock,
    random,
    signal,
    onFailure: (err, _failure, retryInMs) => log.warn({ err, retryInMs }, "the status bucket cannot be followed"),
    async step(stop) {
      for await (const event of status.watch({ signal: stop })) {
        const entry = event.kind === "put" ? decodeReport(event.entry.key, event.entry.bytes) : undefined;
        if (entry === undefined) continue;
        const heard =
          entry.receivedAtMs < sinceMs ? get(entry.gateway) : heardAt(get(entry.gateway), entry.receivedAtMs);
        const acknowledged = openAcknowledgement(entry, records);
        set(entry.gateway, acknowledged === undefined ? heard : withAcknowledgement(heard, acknowledged));
      }
      return 0;
    },
  });
  const hear = (gateway: GatewayRef, statusBytes: Uint8Array) =>
    set(gateway, { ...heardAt(get(gateway), clock.now()), statusBytes });
  return { get, hear, sinceMs, changes, done };
}

function heardAt(report: GatewayReport, atMs: number): GatewayReport {
  return { ...report, heardAtMs: Math.max(report.heardAtMs ?? 0, atMs) };
}

/** The acknowledgement, if the gateway's admitted identity signed it. */
export function openAcknowledgement(
  { gateway, bytes }: Pick<ReportEntry, "gateway" | "bytes">,
  records: RecordMap,
): Acknowledged | undefined {
  const opened = records.open(appliedKey(gateway.clusterId, gateway.ordinal), bytes);
  if (!opened.ok || opened.record.payload.body.case !== "acknowledgement") return undefined;
  return { order: opened.record.order, acknowledgement: opened.record.payload.body.value };
}

function nameOf({ clusterId, ordinal }: GatewayRef): string {
  return `${clusterId}/${ordinal}`;
}
