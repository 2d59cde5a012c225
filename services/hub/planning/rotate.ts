/**
 * @module Drives the rotation: looks at record, request and reports, and writes the next step as soon as it may be.
 *
 * Nothing is remembered between two looks: another leader goes on from wherever this one ends.
 */
import { create } from "@bufbuild/protobuf";
import { EPOCH_KEY } from "@spanwire/core/records/key";
import { decideStep } from "@spanwire/core/rotation/lead";
import { writeEpoch } from "@spanwire/core/rotation/read-epoch";
import { EpochSchema } from "@spanwire/proto/record";
import type { RecordEntry } from "../audit/recorder.ts";
import { stateJson } from "../audit/state-json.ts";
import type { WriterOptions } from "../registration/admission-writer.ts";
import type { ReportView } from "../status/report-view.ts";
import { type ReadProgress, rotationProgress } from "../status/rotation-progress.ts";
import { type EpochRecord, findEpochRecord, writeEpochRecord } from "./epoch-record.ts";
import { noteRotation } from "./rotation-history.ts";
import { askOpen, clearRequest, findRequest, type HeldRequest, isObeyed } from "./rotation-request.ts";
import { dueAtMs, isBlackedOut, type Schedule } from "./schedule.ts";

export interface RotateOptions extends WriterOptions {
  readonly reports: Pick<ReportView, "get" | "sinceMs">;
  readonly readProgress: ReadProgress;
  /** A gateway of which nobody has heard anything for so long is not waited for. */
  readonly absentAfterMs: number;
  /** Undefined rotates on request only. */
  readonly schedule: Schedule | undefined;
  /** For the audit log. */
  readonly record: RecordEntry;
}

/** How long a request waits at most. */
const REST_MS = 3_000;
const ROTATING_MS = 250;

/** Makes the step of a loop. At rest it reads one key of the registry and looks at no gateway. */
export function createRotator(options: RotateOptions): (signal: AbortSignal) => Promise<number> {
  let notedRevision: number | undefined;
  return async (signal) => {
    const { store, map } = options;
    await map.whenCurrent(signal);
    const request = await pendingRequest(options);
    const record = findEpochRecord(map);
    if (record === undefined) return REST_MS;
    if (notedRevision !== record.revision) await noteRotation(store.registry, record);
    notedRevision = record.revision;
    const isRunning = record.view.state === "open" || record.view.state === "closing";
    if (!isRunning && request === undefined && !(await askWhenDue(options, record))) return REST_MS;
    await advance(options, record, request, signal);
    return ROTATING_MS;
  };
}

/** Whether the schedule asks for a rotation now; a blackout only puts it off. */
async function askWhenDue({ store, schedule, clock, record: audit }: RotateOptions, record: EpochRecord) {
  const nowMs = clock.now();
  if (schedule === undefined || nowMs < dueAtMs(schedule, record.writtenAtMs) || isBlackedOut(schedule, nowMs)) {
    return false;
  }
  const request = `scheduled-${record.view.generation}`;
  await askOpen(store.registry, record, request);
  audit({
    ...HUB,
    action: "rotation.ask",
    target: EPOCH_KEY,
    message: "by schedule",
    after: JSON.stringify({ request }),
  });
  return true;
}

const HUB = { actor: { kind: "hub" } } as const;

/** The request that is still to be obeyed; one that has been is taken away. */
async function pendingRequest({ store, map }: RotateOptions): Promise<HeldRequest | undefined> {
  const held = await findRequest(store.registry);
  const record = findEpochRecord(map);
  if (held === undefined || record === undefined || !isObeyed(held.request, record)) return held;
  await clearRequest(store.registry, held);
  return undefined;
}

async function advance(
  options: RotateOptions,
  before: EpochRecord,
  held: HeldRequest | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { map, reports, readProgress, absentAfterMs, clock, record } = options;
  const { view, request } = before;
  const { records } = map;
  const facts = { records, reportOf: reports.get, sinceMs: reports.sinceMs, nowMs: clock.now(), absentAfterMs };
  const { live, reports: progress } = rotationProgress(facts, view, readProgress);
  const step = decideStep({ epoch: view, live, reports: progress, request: held?.request.kind });
  if (step.kind !== "write") return;
  const opens = step.epoch.state === "open" && held !== undefined;
  const next = { view: step.epoch, request: opens ? held.request.id : request };
  if (!(await writeEpochRecord(options, before, next, signal))) return;
  record({
    ...HUB,
    action: `rotation.${next.view.state}`,
    target: EPOCH_KEY,
    before: stateJson(EpochSchema, before.epoch),
    after: stateJson(EpochSchema, create(EpochSchema, writeEpoch(next.view, next.request))),
  });
}
