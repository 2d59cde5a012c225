/** @module What agents report, kept where it is looked for, and how long changes took to reach them. */
import type { Meter } from "@opentelemetry/api";
import type { Clock } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import { createCounter, createHistogram } from "@spanwire/runtime/metrics/instruments";
import type { Report } from "../distribution/answer.ts";
import type { HubMap } from "../state/mesh-view.ts";
import type { StatusBucket } from "../state/port.ts";
import { createCommitTimes } from "./commit-times.ts";
import { encodeReport, reportKey } from "./report-entry.ts";
import { openAcknowledgement, type ReportView } from "./report-view.ts";

export interface TakeOptions {
  /** Hears the statuses. */
  readonly view: Pick<ReportView, "hear">;
  /** Keeps the acknowledgements, for all replicas. */
  readonly status: StatusBucket;
  readonly map: HubMap;
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
}

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Makes the taker of reports. It never throws: a report that was not kept is sent again soon. */
export function createReportTaker({ view, status, map, clock, log, meter }: TakeOptions): (report: Report) => void {
  const commits = createCommitTimes();
  map.onAccepted(() => commits.note(map.sequence, clock.now()));
  const seconds = createHistogram(meter, {
    name: "spanwire_propagation_seconds",
    help: "Time from the write of a change to a gateway's acknowledgement that its kernel holds it, by kind of change",
    labels: ["change"],
    buckets: BUCKETS,
  });
  const reports = createCounter(meter, {
    name: "spanwire_reports",
    help: "Reports of gateways, by kind and outcome",
    labels: ["kind", "outcome"],
  });
  /** By gateway: the sequence up to which its changes have been measured. */
  const measured = new Map<string, number>();

  return (report) => {
    const receivedAtMs = clock.now();
    const { kind, gateway, bytes } = report;
    if (kind === "status") {
      view.hear(gateway, bytes);
      reports.add({ kind, outcome: "kept" });
      return;
    }
    if (!measure(report, receivedAtMs)) {
      reports.add({ kind, outcome: "refused" });
      return;
    }
    status.put(reportKey(gateway), encodeReport({ receivedAtMs, bytes })).then(
      () => reports.add({ kind, outcome: "kept" }),
      (err: unknown) => {
        reports.add({ kind, outcome: "lost" });
        log.warn({ err, cluster: gateway.clusterId, ordinal: gateway.ordinal }, "keeping a report failed");
      },
    );
  };

  /** False for what the gateway's admitted identity has not signed. */
  function measure(report: Report, receivedAtMs: number): boolean {
    const acknowledged = openAcknowledgement(report, map.records);
    if (acknowledged === undefined) return false;
    const { lineage, sequence, tombstones } = acknowledged.acknowledgement;
    if (lineage !== map.lineage) return true;
    for (const { key } of tombstones) {
      const revision = map.revisionOf(key);
      for (const atMs of commits.between(revision - 1, revision)) record("ending", receivedAtMs - atMs);
    }
    const name = `${report.gateway.clusterId}.${report.gateway.ordinal}`;
    const before = measured.get(name);
    const upTo = Math.min(Number(sequence), map.sequence);
    measured.set(name, Math.max(before ?? 0, upTo));
    if (before === undefined) return true; // what came before its first word was not waited for
    for (const atMs of commits.between(before, upTo)) record("any", receivedAtMs - atMs);
    return true;
  }

  function record(change: "any" | "ending", ms: number): void {
    seconds.record({ change }, Math.max(0, ms) / 1_000);
  }
}
