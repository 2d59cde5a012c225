/** @module What all gateways last said, live from the status bucket, so that any replica can answer for any gateway. */
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
  const { done } = startLoop({
    clock,
    random,
    signal,
    onFailure: (err, _failure, retryInMs) => log.warn({ err, retryInMs }, "the status bucket cannot be followed"),
    async step(stop) {
      for await (const event of status.watch({ signal: stop })) {
        const entry = event.kind === "put" ? decodeReport(event.entry.key, event.entry.bytes) : undefined;
        if (entry === undefined) continue;
        const name = nameOf(entry.gateway);
        reports.set(name, withEntry(reports.get(name) ?? NOTHING_HEARD, entry, records));
        changes.notify();
      }
      return 0;
    },
  });
  return { get: (gateway) => reports.get(nameOf(gateway)) ?? NOTHING_HEARD, sinceMs, changes, done };
}

function withEntry(report: GatewayReport, entry: ReportEntry, records: RecordMap): GatewayReport {
  const { kind, receivedAtMs } = entry;
  const heard = { ...report, heardAtMs: Math.max(report.heardAtMs ?? 0, receivedAtMs) };
  if (kind === "status") return { ...heard, statusBytes: copyOf(entry.bytes) };
  const acknowledged = openAcknowledgement(entry, records);
  return acknowledged === undefined ? heard : withAcknowledgement(heard, acknowledged);
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

/** A view would keep all that NATS received together with it. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

function nameOf({ clusterId, ordinal }: GatewayRef): string {
  return `${clusterId}/${ordinal}`;
}
