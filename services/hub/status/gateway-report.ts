/** @module What one gateway last said of itself, and when it was heard. Pure. */

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { compareOrders, type Order } from "@spanwire/core/records/order";
import type { Acknowledgement } from "@spanwire/proto/record";

export interface GatewayReport {
  /** By the hub's clock; undefined before the first report. */
  readonly heardAtMs: number | undefined;
  /** A GatewayStatus as it came: decoded, those of a thousand gateways are sixty megabytes, for nobody most of the time. */
  readonly statusBytes: Uint8Array | undefined;
  readonly acknowledged: Acknowledged | undefined;
  /** Ended peers that its kernel dump showed absent: "key incarnation.generation" -> when, by its own clock. */
  readonly absences: ReadonlyMap<string, number>;
}

/** A verified acknowledgement with its order: the incarnation is the gateway's. */
export interface Acknowledged {
  readonly order: Order;
  readonly acknowledgement: Acknowledgement;
}

/** A record that a tombstone ended, and where in the map that tombstone is. */
export interface EndedRecord extends Order {
  readonly key: string;
  readonly lineage: bigint;
  readonly sequence: bigint;
}

export const NOTHING_HEARD: GatewayReport = {
  heardAtMs: undefined,
  statusBytes: undefined,
  acknowledged: undefined,
  absences: new Map(),
};

/** The status interval of agents, and after how many without a word a gateway counts as unreachable. */
const STATUS_INTERVAL_MS = 30_000;
export const SILENCE_MS = 3 * STATUS_INTERVAL_MS;

/** Takes a verified acknowledgement; an older one than is held changes nothing. */
export function withAcknowledgement(report: GatewayReport, acknowledged: Acknowledged): GatewayReport {
  const held = report.acknowledged;
  if (held !== undefined && compareOrders(acknowledged.order, held.order) <= 0) return report;
  const absences = new Map(held?.order.incarnation === acknowledged.order.incarnation ? report.absences : []);
  for (const tombstone of acknowledged.acknowledgement.tombstones) {
    const { absentAt } = tombstone;
    if (absentAt !== undefined) absences.set(nameOf(tombstone.key, tombstone), timestampMs(absentAt));
  }
  return { ...report, acknowledged, absences };
}

/**
 * When this gateway's kernel no longer held the ended peer, or undefined while it has not said so. It says so for the
 * tombstone by name, or by having applied the whole map up to it.
 */
export function absentSinceMs(report: GatewayReport, incarnation: bigint, ended: EndedRecord): number | undefined {
  const { acknowledged, absences } = report;
  if (acknowledged?.order.incarnation !== incarnation) return undefined;
  const named = absences.get(nameOf(ended.key, ended));
  if (named !== undefined) return named;
  const { lineage, sequence, failures, appliedAt } = acknowledged.acknowledgement;
  const isApplied = failures.length === 0 && lineage === ended.lineage && sequence >= ended.sequence;
  return isApplied && appliedAt !== undefined ? timestampMs(appliedAt) : undefined;
}

export interface Silence {
  readonly nowMs: number;
  /** Since when somebody would have heard it, if it had said anything. */
  readonly sinceMs: number;
  /** When its connection ended, while it has no other. */
  readonly goneAtMs: number | undefined;
}

/** Since when nothing is heard from a gateway, or undefined while it is reachable. */
export function unreachableSinceMs({ heardAtMs }: GatewayReport, silence: Silence): number | undefined {
  const { nowMs, sinceMs, goneAtMs } = silence;
  if (goneAtMs !== undefined && goneAtMs >= (heardAtMs ?? 0)) return goneAtMs;
  const lastMs = heardAtMs ?? sinceMs;
  return nowMs - lastMs > SILENCE_MS ? lastMs : undefined;
}

function nameOf(key: string, { incarnation, generation }: Order): string {
  return `${key} ${incarnation}.${generation}`;
}
