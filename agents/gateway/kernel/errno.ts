/** @module Errnos by name, as manuals and `strace` write them. */
import { constants } from "node:os";

/** Two numbers have two names each; rtnetlink's manual uses these. */
const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
  [constants.errno.EAGAIN, "EAGAIN"],
  [constants.errno.EOPNOTSUPP, "EOPNOTSUPP"],
]);

/** `errno` is positive. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}
