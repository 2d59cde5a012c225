/** @module How far every gateway is with the rotation, and why it is no further, from what they report. Pure. */
import { fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { laneIndex, planeOfEpoch } from "@spanwire/core/desired/lane";
import { DEFAULT_PROBE_PORT } from "@spanwire/core/liveness/probe";
import { clusterKey, gatewayKey } from "@spanwire/core/records/key";
import { type EpochView, targetEpoch } from "@spanwire/core/rotation/epoch";
import type { GatewayReport, Laggard, MeshView } from "@spanwire/core/rotation/lead";
import type { PairPhase } from "@spanwire/core/rotation/pair";
import type { GatewayRef } from "@spanwire/core/subjects";
import { GatewayStatusSchema, type PairBehind, PairPhase as Phase, type RotationProgress } from "@spanwire/proto/agent";
import type { AdmittedGateway } from "@spanwire/proto/record";
import type { MeshFacts } from "./describe-mesh.ts";

export interface RotationFacts extends Pick<MeshFacts, "records" | "reportOf" | "sinceMs" | "nowMs"> {
  /** A gateway of which nobody has heard anything for so long is not waited for. */
  readonly absentAfterMs: number;
}

export interface Progress extends Pick<MeshView, "live" | "reports"> {
  /** Of all gateways; each pair counts twice, once for each side. */
  readonly phases: ReadonlyMap<Phase, number>;
}

/** Decoding the statuses of a thousand gateways takes a tenth of a second: each is decoded once. */
export type ReadProgress = (statusBytes: Uint8Array) => RotationProgress | undefined;

export function createProgressReader(): ReadProgress {
  const known = new WeakMap<Uint8Array, { readonly progress: RotationProgress | undefined }>();
  return (bytes) => {
    const held = known.get(bytes) ?? { progress: decode(bytes) };
    known.set(bytes, held);
    return held.progress;
  };
}

function decode(bytes: Uint8Array): RotationProgress | undefined {
  try {
    return fromBinary(GatewayStatusSchema, bytes).rotation;
  } catch {
    return undefined; // of a later version, perhaps: one that says nothing is waited for
  }
}

/** One that the hub does not hear is live all the same while another gateway hears it inside the tunnels. */
export function rotationProgress(facts: RotationFacts, epoch: EpochView, read: ReadProgress): Progress {
  const target = targetEpoch(epoch);
  const reports = new Map<string, GatewayReport>();
  const live = new Set<string>();
  const heard = new Set<string>();
  const phases = new Map<Phase, number>();
  for (const { ref, admitted } of admittedGateways(facts)) {
    const name = nameOf(ref);
    const { statusBytes, heardAtMs } = facts.reportOf(ref);
    const isHeard = facts.nowMs - (heardAtMs ?? joinedAtMs(facts, ref)) <= facts.absentAfterMs;
    if (isHeard) live.add(name);
    const progress = statusBytes && read(statusBytes);
    if (progress === undefined) continue;
    reports.set(name, {
      generation: progress.generation,
      hasKey: hasKey(facts, ref, admitted, target),
      behind: new Map(progress.behind.map((pair) => [nameOf(pair), PHASES[pair.phase] ?? "waiting"])),
      unlisted: progress.unlisted,
    });
    for (const { phase, pairs } of progress.phases) phases.set(phase, (phases.get(phase) ?? 0) + pairs);
    if (isHeard) for (const pair of progress.behind.filter(({ alive }) => alive)) heard.add(nameOf(pair));
  }
  const admitted = new Set(admittedGateways(facts).map(({ ref }) => nameOf(ref)));
  return { reports, phases, live: live.union(heard.intersection(admitted)) };
}

/** "eu.0", as in `MeshView`. */
function nameOf({ clusterId, ordinal }: GatewayRef | PairBehind): string {
  return `${clusterId}.${ordinal}`;
}

/** Reads "eu.0". */
export function refOf(name: string): GatewayRef {
  const at = name.lastIndexOf(".");
  return { clusterId: name.slice(0, at), ordinal: Number(name.slice(at + 1)) };
}

function admittedGateways({ records }: RotationFacts) {
  return [...records.admissions.values()].flatMap(({ clusterId, gateways }) =>
    gateways.map((admitted) => ({ ref: { clusterId, ordinal: admitted.ordinal }, admitted })),
  );
}

/** Since when it could have been heard. */
function joinedAtMs({ records, sinceMs }: RotationFacts, { clusterId }: GatewayRef): number {
  const issuedAt = records.get(clusterKey(clusterId))?.payload.issuedAt;
  return Math.max(sinceMs, issuedAt === undefined ? 0 : timestampMs(issuedAt));
}

function hasKey({ records }: RotationFacts, ref: GatewayRef, { incarnation }: AdmittedGateway, epoch: bigint): boolean {
  const held = records.statements.get(gatewayKey(ref.clusterId, ref.ordinal));
  return held?.order.incarnation === incarnation && held.statement.keys.some((key) => key.epoch === epoch);
}

/** A sentence for the operator: why the next step waits for it, and what can be done. */
export function reasonOf(
  facts: RotationFacts,
  epoch: EpochView,
  { gateway, pair }: Laggard,
  progress: Progress,
): string {
  if (pair === undefined) return reasonOfGateway(epoch, gateway, progress);
  const plane = planeOfEpoch(targetEpoch(epoch));
  const [self, other] = [refOf(gateway), refOf(pair.with)];
  switch (pair.phase) {
    case "waiting":
      return `${pair.with} has stated no key for epoch ${targetEpoch(epoch)}, or ${gateway} has not read it yet`;
    case "building": {
      const ports = [portOf(facts, self, plane, other), portOf(facts, other, plane, self)].join(" and ");
      return `no probe passes both ways on plane ${plane}: let UDP ${ports} through, and UDP ${DEFAULT_PROBE_PORT} inside the tunnel`;
    }
    case "ready":
      return "the new plane works; the kernel is about to send on it";
    case "flipped":
      return `${pair.with} does not send on plane ${plane} yet, or packets still come by the former plane`;
    case "drained":
    case "done":
      return "it still has the former peer";
    default:
      return pair.phase satisfies never;
  }
}

function reasonOfGateway({ generation }: EpochView, gateway: string, { reports }: Progress): string {
  const report = reports.get(gateway);
  if (report === undefined) return "it says nothing of rotation: it is not connected, or its agent is too old";
  if (report.generation < generation) return "it has not read this step of the rotation yet";
  if (!report.hasKey) return "it has stated no key for the epoch yet";
  return `${report.unlisted} of its pairs are behind`;
}

/** "of eu/0 51823": where it is reached on the plane; only the gateway where it has no endpoint. */
function portOf({ records }: RotationFacts, at: GatewayRef, plane: "a" | "b", from: GatewayRef): string {
  const { endpoints = [] } = records.statements.get(gatewayKey(at.clusterId, at.ordinal))?.statement ?? {};
  const index = laneIndex(plane, from.ordinal);
  const ports = endpoints.map(({ basePort, ports: listed }) => listed[index] ?? basePort + index);
  const name = `${at.clusterId}/${at.ordinal}`;
  return ports.length === 0 ? `towards others from ${name}` : `${[...new Set(ports)].join(",")} of ${name}`;
}

const PHASES: Readonly<Partial<Record<Phase, PairPhase>>> = {
  [Phase.WAITING]: "waiting",
  [Phase.BUILDING]: "building",
  [Phase.READY]: "ready",
  [Phase.FLIPPED]: "flipped",
  [Phase.DRAINED]: "drained",
  [Phase.DONE]: "done",
};
