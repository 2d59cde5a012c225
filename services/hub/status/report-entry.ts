/** @module One report as the status bucket keeps it: when the hub received it, then the bytes as they came. */
import type { GatewayRef } from "@spanwire/core/subjects";

export type ReportKind = "status" | "applied";

export interface ReportEntry {
  readonly gateway: GatewayRef;
  readonly kind: ReportKind;
  readonly receivedAtMs: number;
  readonly bytes: Uint8Array;
}

const TIME_BYTES = 8;
const KEY = /^(status|applied)\.([a-z0-9-]+)\.(\d{1,2})$/;

export function reportKey({ kind, gateway }: Pick<ReportEntry, "kind" | "gateway">): string {
  return `${kind}.${gateway.clusterId}.${gateway.ordinal}`;
}

export function encodeReport({ receivedAtMs, bytes }: Pick<ReportEntry, "receivedAtMs" | "bytes">): Uint8Array {
  const stored = new Uint8Array(TIME_BYTES + bytes.length);
  new DataView(stored.buffer).setFloat64(0, receivedAtMs);
  stored.set(bytes, TIME_BYTES);
  return stored;
}

/** Undefined for what `encodeReport` has not written. */
export function decodeReport(key: string, stored: Uint8Array): ReportEntry | undefined {
  const [, kind, clusterId = "", ordinal] = KEY.exec(key) ?? [];
  if (!isKind(kind) || stored.length < TIME_BYTES) return undefined;
  const receivedAtMs = new DataView(stored.buffer, stored.byteOffset).getFloat64(0);
  const bytes = stored.subarray(TIME_BYTES);
  return { gateway: { clusterId, ordinal: Number(ordinal) }, kind, receivedAtMs, bytes };
}

function isKind(text: string | undefined): text is ReportKind {
  return text === "status" || text === "applied";
}
