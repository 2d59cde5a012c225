/** @module Spans of time as people type them. */
import { InvalidArgumentError } from "commander";

const UNIT_SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** Parses "90s", "30m", "1h" or "7d" into seconds, for a command-line option. */
export function parseDurationSeconds(text: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  if (match === null) throw new InvalidArgumentError('write a number and a unit, as in "30m", "1h" or "7d"');
  return Number(match[1]) * UNIT_SECONDS[match[2] as keyof typeof UNIT_SECONDS];
}
