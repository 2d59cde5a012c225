/** @module What operators should know of a rotation that takes long: which pair it waits for, and why. */
import { decideStep } from "@spanwire/core/rotation/lead";
import type { Clock } from "@spanwire/core/time";
import type { HubMap } from "../state/mesh-view.ts";
import type { HubCondition } from "../status/hub-condition.ts";
import type { ReportView } from "../status/report-view.ts";
import { type ReadProgress, reasonOf, refOf, rotationProgress } from "../status/rotation-progress.ts";
import { findEpochRecord } from "./epoch-record.ts";

const STUCK_MS = 60_000;
/** More is for nobody to read. */
const MOST = 16;

export interface RotationConditionsOptions {
  readonly map: HubMap;
  readonly reports: Pick<ReportView, "get" | "sinceMs">;
  readonly readProgress: ReadProgress;
  readonly absentAfterMs: number;
  readonly clock: Clock;
}

/** None before a step has taken a minute. */
export function rotationConditions(options: RotationConditionsOptions): readonly HubCondition[] {
  const { map, reports, readProgress, absentAfterMs, clock } = options;
  const record = findEpochRecord(map);
  if (record === undefined) return [];
  const { view, writtenAtMs } = record;
  const nowMs = clock.now();
  if ((view.state !== "open" && view.state !== "closing") || nowMs - writtenAtMs < STUCK_MS) return [];
  const facts = { records: map.records, reportOf: reports.get, sinceMs: reports.sinceMs, nowMs, absentAfterMs };
  const progress = rotationProgress(facts, view, readProgress);
  const step = decideStep({ epoch: view, live: progress.live, reports: progress.reports, request: undefined });
  if (step.kind !== "wait") return [];
  return step.for.slice(0, MOST).map((laggard) => {
    const pair = [laggard.gateway, ...(laggard.pair === undefined ? [] : [laggard.pair.with])].map(slashed).join("~");
    const message = `the rotation to epoch ${view.opening} waits for ${pair}: ${reasonOf(facts, view, laggard, progress)}`;
    return { type: "RotationStuck", subject: pair, message };
  });
}

function slashed(name: string): string {
  const { clusterId, ordinal } = refOf(name);
  return `${clusterId}/${ordinal}`;
}
