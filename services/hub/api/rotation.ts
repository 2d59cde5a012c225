/** @module Rotations for operators: asked for, turned back, followed. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EPOCH_KEY } from "@spanwire/core/records/key";
import { decideStep, type Laggard } from "@spanwire/core/rotation/lead";
import { PairPhase } from "@spanwire/proto/agent";
import type { FleetService, LaggardSchema, PastRotationSchema } from "@spanwire/proto/fleet";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import { type EpochRecord, findEpochRecord } from "../planning/epoch-record.ts";
import { listRotations, type PastRotation } from "../planning/rotation-history.ts";
import { askAbort, askOpen, findRequest, isObeyed } from "../planning/rotation-request.ts";
import { refusal } from "../refusal.ts";
import { reasonOf, refOf, rotationProgress } from "../status/rotation-progress.ts";
import type { FleetOptions } from "./fleet-service.ts";
import { meshFacts } from "./mesh-facts.ts";

type RotationMethods = "rotate" | "abortRotation" | "getRotation";

/** More is for nobody to read. */
const MOST_LAGGARDS = 64;

export function rotationHandlers(options: FleetOptions): Pick<Handlers<typeof FleetService>, RotationMethods> {
  const { store, audit } = options;
  const newId = () => Buffer.from(randomBytes(8)).toString("hex");
  return {
    async rotate(_request, context) {
      const record = requireRecord(options);
      const request = await askOpen(store.registry, record, newId());
      audit.calls
        .of(context)
        .changed({ action: "rotation.ask", target: EPOCH_KEY, after: JSON.stringify({ request }) });
      return { request, queued: record.view.state === "open" || record.view.state === "closing" };
    },
    async abortRotation(_request, context) {
      const request = await askAbort(store.registry, requireRecord(options), newId());
      const after = JSON.stringify({ request, abort: true });
      audit.calls.of(context).changed({ action: "rotation.ask", target: EPOCH_KEY, after });
      return { request };
    },
    getRotation: async () => describe(options),
  };
}

function requireRecord({ writer, map }: FleetOptions): EpochRecord {
  writer.registry(); // refuses while the map is not current
  const record = findEpochRecord(map);
  if (record === undefined) throw refusal("STORE_AWAY", "the hub has no epoch record yet: try again in a moment");
  return record;
}

async function describe(options: FleetOptions) {
  const { store, readProgress, absentAfterMs } = options;
  const record = requireRecord(options);
  const held = await findRequest(store.registry);
  const history = await listRotations(store.registry);
  const request = held === undefined || isObeyed(held.request, record) ? undefined : held.request;
  const facts = { ...meshFacts(options), absentAfterMs };
  const progress = rotationProgress(facts, record.view, readProgress);
  const { live, reports, phases } = progress;
  const step = decideStep({ epoch: record.view, live, reports, request: request?.kind });
  const waitsFor = step.kind === "wait" ? step.for.slice(0, MOST_LAGGARDS) : [];
  return {
    epoch: record.epoch,
    since: timestampFromMs(record.writtenAtMs),
    queued: request?.id ?? "",
    phases: [...phases].sort(([a], [b]) => a - b).map(([phase, pairs]) => ({ phase, pairs })),
    laggards: waitsFor.map((laggard) => ({
      ...describeLaggard(laggard),
      reason: reasonOf(facts, record.view, laggard, progress),
    })),
    history: history.map(describePast),
  };
}

function describeLaggard({ gateway, pair }: Laggard): MessageInitShape<typeof LaggardSchema> {
  if (pair === undefined) return refOf(gateway);
  const { clusterId: otherClusterId, ordinal: otherOrdinal } = refOf(pair.with);
  return { ...refOf(gateway), otherClusterId, otherOrdinal, phase: PHASES[pair.phase] };
}

function describePast(past: PastRotation): MessageInitShape<typeof PastRotationSchema> {
  const { epoch, request, openedAtMs, closingAtMs, endedAtMs, isAborted } = past;
  return {
    epoch,
    request,
    openedAt: timestampFromMs(openedAtMs),
    ...(closingAtMs === undefined ? {} : { closingAt: timestampFromMs(closingAtMs) }),
    ...(endedAtMs === undefined ? {} : { endedAt: timestampFromMs(endedAtMs) }),
    aborted: isAborted,
  };
}

const PHASES = {
  waiting: PairPhase.WAITING,
  building: PairPhase.BUILDING,
  ready: PairPhase.READY,
  flipped: PairPhase.FLIPPED,
  drained: PairPhase.DRAINED,
  done: PairPhase.DONE,
} as const;
