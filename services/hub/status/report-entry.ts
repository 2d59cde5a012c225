/** @module One acknowledgement as the status bucket keeps it: when a hub received it, then the bytes as they came. */
import type { GatewayRef } from "@spanwire/core/subjects";

export interface ReportEntry {
  readonly gateway: GatewayRef;
  readonly receivedAtMs: number;
  readonly bytes: Uint8Array;
}

const TIME_BYTES = 8;
const KEY = /^applied\.([a-z0-9-]+)\.(\d{1,2})$/;

export function reportKey({ clusterId, ordinal }: GatewayRef): string {
  return `applied.${clusterId}.${ordinal}`;
}

export function encodeReport({ receivedAtMs, bytes }: Pick<ReportEntry, "receivedAtMs" | "bytes">): Uint8Array {
  const stored = new Uint8Array(TIME_BYTES + bytes.length);
  new DataView(stored.buffer).setFloat64(0, receivedAtMs);
  stored.set(bytes, TIME_BYTES);
  return stored;
}

/** Undefined for what `encodeReport` has not written. */
export function decodeReport(key: string, stored: Uint8Array): ReportEntry | undefined {
  const match = KEY.exec(key);
  if (match === null || stored.length < TIME_BYTES) return undefined;
  const [, clusterId = "", ordinal] = match;
  const receivedAtMs = new DataView(stored.buffer, stored.byteOffset).getFloat64(0);
  const bytes = stored.subarray(TIME_BYTES);
  return { gateway: { clusterId, ordinal: Number(ordinal) }, receivedAtMs, bytes };
}
