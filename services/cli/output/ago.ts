/** @module Points in time as people say them. */
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";

const UNITS = [
  { suffix: "d", ms: 86_400_000 },
  { suffix: "h", ms: 3_600_000 },
  { suffix: "min", ms: 60_000 },
  { suffix: "s", ms: 1_000 },
] as const;

/** "3 min ago", "in 2 h", "now"; "never" where there is no time. */
export function formatAgo(time: Timestamp | undefined, nowMs: number): string {
  if (time === undefined) return "never";
  const distanceMs = nowMs - timestampMs(time);
  const unit = UNITS.find(({ ms }) => Math.abs(distanceMs) >= ms);
  if (unit === undefined) return "now";
  const amount = `${Math.floor(Math.abs(distanceMs) / unit.ms)} ${unit.suffix}`;
  return distanceMs > 0 ? `${amount} ago` : `in ${amount}`;
}
