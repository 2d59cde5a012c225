/** @module Whether packets pass both ways between two gateways on one plane, from the probes of both. Pure. */
import type { Probe } from "./probe.ts";

/** Probes in a row that may be lost before the other counts as not heard. */
const MISSES = 3;
/** Nobody is expected, or made, to send more often. */
export const SHORTEST_MS = 100;
/** Probes go this much earlier than promised, so that the third is not late where two were lost. */
const EARLY = 0.9;
/** Probes that we remember having sent, to tell the round trip from the echo. */
const REMEMBERED = 16;
const NEVER = Number.NEGATIVE_INFINITY;
const AT_ONCE = Number.NEGATIVE_INFINITY;

export interface LaneState {
  /** Ours. */
  readonly session: number;
  /** Our last probe. */
  readonly said: Probe | undefined;
  readonly sent: readonly Sent[];
  readonly heard: HeardProbe | undefined;
  /** The session before the one that we hear: what is left of it in the network comes too late. */
  readonly formerSession: number | undefined;
  /** Until then one that has started anew is taken to hear us, as it did before: it has had no time to. */
  readonly graceUntilMs: number;
  readonly roundTripMs: number | undefined;
}

interface Sent {
  readonly sequence: number;
  readonly intervalMs: number;
  readonly atMs: number;
}

export interface HeardProbe {
  readonly probe: Probe;
  readonly atMs: number;
}

/** What our next probe says besides what was heard. */
export type Saying = Pick<Probe, "intervalMs" | "asks" | "isDraining" | "sendsOn" | "generation">;

/** Nothing sent and nothing heard. `session` is a random u32. */
export function openLane(session: number): LaneState {
  return {
    session,
    said: undefined,
    sent: [],
    heard: undefined,
    formerSession: undefined,
    graceUntilMs: NEVER,
    roundTripMs: undefined,
  };
}

/**
 * When the next probe has to go. At once when it says something new, or when the other does not hear us; else within
 * each of the last three intervals that we promised, for two of those promises may have been lost.
 */
export function dueAtMs(lane: LaneState, saying: Saying, nowMs: number): number {
  const last = lane.sent.at(-1);
  if (last === undefined || lane.said === undefined) return AT_ONCE;
  if (isNews(lane.said, saying, isHeard(lane, nowMs)) || mustAnswer(lane.said, lane.heard)) return AT_ONCE;
  return last.atMs + EARLY * Math.min(...lane.sent.slice(-MISSES).map(({ intervalMs }) => intervalMs));
}

/** The next probe to send at `nowMs`. */
export function nextProbe(
  lane: LaneState,
  saying: Saying & Pick<Probe, "sequence">,
  nowMs: number,
): { lane: LaneState; probe: Probe } {
  const { session, heard } = lane;
  const { sequence, intervalMs } = saying;
  const echo = heard && { session: heard.probe.session, sequence: heard.probe.sequence, agoMs: nowMs - heard.atMs };
  const probe = { ...saying, session, hearsYou: isHeard(lane, nowMs), echo };
  const sent = [...lane.sent, { sequence, intervalMs, atMs: nowMs }].slice(-REMEMBERED);
  return { probe, lane: { ...lane, said: probe, sent } };
}

/** Takes a probe in; the same lane for one that is repeated or late. */
export function hearProbe(lane: LaneState, probe: Probe, nowMs: number): LaneState {
  const former = lane.heard?.probe;
  const isSame = former?.session === probe.session;
  if (isSame ? probe.sequence <= former.sequence : probe.session === lane.formerSession) return lane;
  const heard = { probe, atMs: nowMs };
  const graceUntilMs = isUp(lane, nowMs) ? endOf(heard) : NEVER;
  return {
    ...lane,
    heard,
    ...(isSame ? {} : { formerSession: former?.session, graceUntilMs }),
    roundTripMs: roundTrip(lane, probe, nowMs) ?? lane.roundTripMs,
  };
}

/** Whether packets pass both ways: we hear the other, and it says that it hears us. */
export function isUp(lane: LaneState, nowMs: number): boolean {
  return isHeard(lane, nowMs) && (lane.heard?.probe.hearsYou === true || nowMs < lane.graceUntilMs);
}

export function isHeard({ heard }: LaneState, nowMs: number): boolean {
  return nowMs < endOf(heard);
}

/** When `isUp` or `isHeard` may say something else although nothing more is heard; Infinity if never. */
export function lapsesAtMs({ heard, graceUntilMs }: LaneState, nowMs: number): number {
  return Math.min(...[endOf(heard), graceUntilMs].filter((atMs) => atMs > nowMs));
}

/** The sender said how long it lets us wait. */
function endOf(heard: HeardProbe | undefined): number {
  return heard === undefined ? NEVER : heard.atMs + MISSES * Math.max(SHORTEST_MS, heard.probe.intervalMs);
}

/** A longer interval is none: it may be said in time. */
function isNews(said: Probe, { intervalMs, asks, isDraining, sendsOn, generation }: Saying, hears: boolean): boolean {
  return (
    hears !== said.hearsYou ||
    intervalMs < said.intervalMs ||
    (asks && !said.asks) ||
    isDraining !== said.isDraining ||
    sendsOn !== said.sendsOn ||
    generation !== said.generation
  );
}

/** One that does not hear us is told at once that we hear it: it has started anew, or packets pass again. */
function mustAnswer({ echo }: Probe, heard: HeardProbe | undefined): boolean {
  if (heard === undefined || heard.probe.hearsYou) return false;
  return echo?.session !== heard.probe.session || echo.sequence !== heard.probe.sequence;
}

function roundTrip({ session, sent }: LaneState, { echo }: Probe, nowMs: number): number | undefined {
  if (echo?.session !== session) return undefined;
  const asked = sent.find(({ sequence }) => sequence === echo.sequence);
  return asked && Math.max(0, nowMs - asked.atMs - echo.agoMs);
}
