/** @module Whether packets pass both ways between two gateways on one plane, from the probes of both. Pure. */
import type { Probe } from "./probe.ts";

/** Probes in a row that may be lost before the other counts as not heard. */
const MISSES = 3;
/** Probes that we remember having sent, to tell the round trip from the echo. */
const REMEMBERED = 16;

export interface LaneState {
  /** Ours. */
  readonly session: number;
  readonly sequence: number;
  readonly sent: readonly Sent[];
  readonly heard: HeardProbe | undefined;
  /** The session before the one that we hear: what is left of it in the network comes too late. */
  readonly formerSession: number | undefined;
  readonly roundTripMs: number | undefined;
}

interface Sent {
  readonly sequence: number;
  readonly atMs: number;
}

export interface HeardProbe {
  readonly probe: Probe;
  readonly atMs: number;
}

/** What our next probe says besides what was heard. */
export interface Saying {
  readonly intervalMs: number;
  readonly isDraining: boolean;
  readonly sendsOn: bigint;
  readonly generation: bigint;
}

/** Nothing sent and nothing heard. `session` is a random u32. */
export function openLane(session: number): LaneState {
  return { session, sequence: 0, sent: [], heard: undefined, formerSession: undefined, roundTripMs: undefined };
}

/** The next probe to send at `nowMs`. */
export function nextProbe(lane: LaneState, saying: Saying, nowMs: number): { lane: LaneState; probe: Probe } {
  const { session, heard } = lane;
  const sequence = lane.sequence + 1;
  const echo = heard && { session: heard.probe.session, sequence: heard.probe.sequence, agoMs: nowMs - heard.atMs };
  const probe = { ...saying, session, sequence, hearsYou: isHeard(lane, nowMs), echo };
  return { probe, lane: { ...lane, sequence, sent: [...lane.sent, { sequence, atMs: nowMs }].slice(-REMEMBERED) } };
}

/** Takes a probe in; the same lane for one that is repeated or late. */
export function hearProbe(lane: LaneState, probe: Probe, nowMs: number): LaneState {
  const former = lane.heard?.probe;
  const isSame = former?.session === probe.session;
  if (isSame ? probe.sequence <= former.sequence : probe.session === lane.formerSession) return lane;
  return {
    ...lane,
    heard: { probe, atMs: nowMs },
    formerSession: isSame ? lane.formerSession : former?.session,
    roundTripMs: roundTrip(lane, probe, nowMs) ?? lane.roundTripMs,
  };
}

/** Whether packets pass both ways: we hear the other, and it says that it hears us. */
export function isUp(lane: LaneState, nowMs: number): boolean {
  return isHeard(lane, nowMs) && lane.heard?.probe.hearsYou === true;
}

/** When the lane goes down if nothing more is heard; undefined while it is not up. */
export function downAtMs(lane: LaneState, nowMs: number): number | undefined {
  return isUp(lane, nowMs) ? endOf(lane.heard) : undefined;
}

function isHeard({ heard }: LaneState, nowMs: number): boolean {
  return nowMs <= endOf(heard);
}

/** The sender said how long it lets us wait. */
function endOf(heard: HeardProbe | undefined): number {
  return heard === undefined ? Number.NEGATIVE_INFINITY : heard.atMs + MISSES * heard.probe.intervalMs;
}

function roundTrip({ session, sent }: LaneState, { echo }: Probe, nowMs: number): number | undefined {
  if (echo?.session !== session) return undefined;
  const asked = sent.find(({ sequence }) => sequence === echo.sequence);
  return asked && Math.max(0, nowMs - asked.atMs - echo.agoMs);
}
