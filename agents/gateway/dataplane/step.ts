/** @module The order in which changes are made: every diff says for each change which step it belongs to. */
import type { Change } from "../kernel/change.ts";

/**
 * Steps in order. What protects comes first and goes last; what is used is there before what uses it; and what takes
 * over is in place before what it replaces leaves.
 */
export const STEPS = [
  /** Grows the firewall's remote prefixes; never shrinks them. */
  "guard",
  /** `throw` before `blackhole`: a remote prefix may cover a local network. */
  "keep-local",
  "blackhole",
  "rule",
  /** sw0 with the stable address, then lane by lane: device, key and port, settings, addresses, up. */
  "device",
  /** Settles what moves between peers of a device: the kernel moves an allowed IP in one step. */
  "peer",
  "nexthop",
  "group",
  "route",
  /** From here on only what nothing uses any more. Packets now meet the blackhole. */
  "remove-route",
  "remove-group",
  "remove-nexthop",
  /** After the routes: a packet for a peer that is gone is an error to its sender. */
  "remove-allowed-ip",
  "remove-peer",
  /** After the routes that have it as their source: the kernel deletes those with it. */
  "remove-address",
  "remove-device",
  "remove-rule",
  "remove-blackhole",
  "remove-keep-local",
  "narrow-guard",
] as const;

export interface Planned {
  readonly step: (typeof STEPS)[number];
  readonly change: Change;
}

/** Sorts by step; within a step the given order stays. */
export function inOrder(planned: readonly Planned[]): Change[] {
  const byStep = Map.groupBy(planned, ({ step }) => step);
  return STEPS.flatMap((step) => byStep.get(step)?.map(({ change }) => change) ?? []);
}
