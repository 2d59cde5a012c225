/** @module The mesh as operators see it: records and reports put together. Pure. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { overlayBlock, parseOverlay } from "@spanwire/core/address/overlay";
import { clusterKey, gatewayKey } from "@spanwire/core/records/key";
import type { RecordMap } from "@spanwire/core/records/record-map";
import type { GatewayRef } from "@spanwire/core/subjects";
import { type Condition, ConditionSchema, type GatewayStatus, GatewayStatusSchema } from "@spanwire/proto/agent";
import {
  type Cluster,
  ClusterSchema,
  type Gateway,
  GatewaySchema,
  type MeshStatus,
  MeshStatusSchema,
} from "@spanwire/proto/fleet";
import type { Admission, AdmittedGateway } from "@spanwire/proto/record";
import { type GatewayReport, unreachableSinceMs } from "./gateway-report.ts";
import type { HubCondition } from "./hub-condition.ts";

export interface MeshFacts {
  readonly records: RecordMap;
  readonly lineage: bigint;
  readonly sequence: number;
  readonly reportOf: (gateway: GatewayRef) => GatewayReport;
  /** Since when reports are heard. */
  readonly sinceMs: number;
  /** When the connection of this NATS user ended, while it has no other; undefined also where that is not known. */
  readonly goneAtMs: (nkey: string) => number | undefined;
  /** What the hub says of itself. */
  readonly hubConditions: readonly HubCondition[];
  readonly nowMs: number;
}

export function describeMesh(facts: MeshFacts): MeshStatus {
  const { records, lineage, sequence, nowMs } = facts;
  return create(MeshStatusSchema, {
    meshId: records.mesh?.meshId ?? "",
    lineage,
    sequence: BigInt(sequence),
    hubTime: timestampFromMs(nowMs),
    clusters: describeClusters(facts),
    ...(records.epoch === undefined ? {} : { epoch: records.epoch }),
    conditions: [
      ...facts.hubConditions.map((condition) => create(ConditionSchema, condition)),
      ...unreachableGateways(facts),
      ...unknownRecords(facts),
    ],
  });
}

/** All admitted clusters, by id. */
export function describeClusters(facts: MeshFacts): Cluster[] {
  const admissions = [...facts.records.admissions.values()].sort((a, b) => (a.clusterId < b.clusterId ? -1 : 1));
  return admissions.map((admission) => describeCluster(facts, admission));
}

export function describeCluster(facts: MeshFacts, admission: Admission): Cluster {
  const { clusterId: id, kind, prefixes, labels, overlayIndex } = admission;
  const { mesh } = facts.records;
  const overlay = mesh && parseOverlay(mesh);
  const order = facts.records.get(clusterKey(id))?.order;
  return create(ClusterSchema, {
    id,
    kind,
    prefixes,
    labels,
    overlayIpv4: overlay ? overlayBlock(overlay, overlayIndex, "ipv4").text : "",
    overlayIpv6: overlay ? overlayBlock(overlay, overlayIndex, "ipv6").text : "",
    gateways: admission.gateways.map((gateway) => describeGateway(facts, id, gateway)),
    incarnation: order?.incarnation ?? 0n,
    generation: order?.generation ?? 0n,
  });
}

function describeGateway(facts: MeshFacts, clusterId: string, admitted: AdmittedGateway): Gateway {
  const { ordinal, incarnation, identityKey } = admitted;
  const { statusBytes, heardAtMs, acknowledged } = facts.reportOf({ clusterId, ordinal });
  const status = statusBytes && openStatus(statusBytes);
  const statement = facts.records.statements.get(gatewayKey(clusterId, ordinal))?.statement;
  const ownWord = acknowledged?.order.incarnation === incarnation ? acknowledged.acknowledgement : undefined;
  return create(GatewaySchema, {
    ordinal,
    incarnation,
    identityKey,
    ...(statement && { statement }),
    ...(status && { status }),
    ...(heardAtMs === undefined ? {} : { lastSeen: timestampFromMs(heardAtMs) }),
    appliedSequence: ownWord?.lineage === facts.lineage ? ownWord.sequence : 0n,
  });
}

function openStatus(bytes: Uint8Array): GatewayStatus | undefined {
  try {
    return fromBinary(GatewayStatusSchema, bytes);
  } catch {
    return undefined; // of a later version, perhaps; the gateway was heard all the same
  }
}

/** Every admitted gateway from which nothing is heard, with the time of its last word. */
export function findUnreachable(facts: MeshFacts): (GatewayRef & { readonly sinceMs: number })[] {
  return [...facts.records.admissions.values()].flatMap(({ clusterId, gateways }) => {
    const issuedAt = facts.records.get(clusterKey(clusterId))?.payload.issuedAt;
    const sinceMs = Math.max(facts.sinceMs, issuedAt === undefined ? 0 : timestampMs(issuedAt));
    return gateways.flatMap(({ ordinal, nkey }) => {
      const silence = { nowMs: facts.nowMs, sinceMs, goneAtMs: facts.goneAtMs(nkey) };
      const unreachable = unreachableSinceMs(facts.reportOf({ clusterId, ordinal }), silence);
      return unreachable === undefined ? [] : [{ clusterId, ordinal, sinceMs: unreachable }];
    });
  });
}

function unreachableGateways(facts: MeshFacts): Condition[] {
  return findUnreachable(facts).map(({ clusterId, ordinal, sinceMs }) =>
    create(ConditionSchema, {
      type: "GatewayUnreachable",
      subject: `${clusterId}/${ordinal}`,
      message: `nothing heard from gateway ${clusterId}/${ordinal} since ${new Date(sinceMs).toISOString()}`,
    }),
  );
}

/** Their writers are of a later version: kept and forwarded, not acted on. */
function unknownRecords({ records }: MeshFacts): Condition[] {
  const types = records.unknownKeys().map((key) =>
    create(ConditionSchema, {
      type: "UnknownRecord",
      subject: key,
      message: `record "${key}" is of a type that this hub does not know; it is kept and forwarded`,
    }),
  );
  const fields = records.unknownFieldKeys().map((key) =>
    create(ConditionSchema, {
      type: "UnknownFields",
      subject: key,
      message: `record "${key}" has fields that this hub does not know; they are kept and forwarded`,
    }),
  );
  return [...types, ...fields];
}
