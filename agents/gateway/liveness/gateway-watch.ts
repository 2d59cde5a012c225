/** @module What is seen of one remote gateway on all its lanes, and what is to be sent to it next. */
import type { Plane } from "@spanwire/core/desired/state";
import { FRESH, type HoldDown, see } from "@spanwire/core/liveness/hold-down";
import {
  dueAtMs,
  type HeardProbe,
  hearProbe,
  isUp,
  type LaneState,
  lapsesAtMs,
  nextProbe,
  openLane,
} from "@spanwire/core/liveness/lane";
import { paceOf, type Use, wishedMs } from "@spanwire/core/liveness/pace";
import type { Probe } from "@spanwire/core/liveness/probe";
import type { ProbedLane } from "@spanwire/core/liveness/probed-lanes";
import { judge, judgeAgainAtMs, type Verdict } from "@spanwire/core/liveness/verdict";

/** What we tell a gateway, and what it is to us. */
export interface Outlook extends Pick<Probe, "isDraining" | "sendsOn" | "generation"> {
  readonly use: Use;
}

export interface GatewayView {
  /** After hold-down: whether others may rely on it. */
  readonly verdict: Verdict;
  readonly lanes: ReadonlyMap<Plane, LaneView>;
  /** What it said last, on whichever plane. */
  readonly word: Word | undefined;
  /** When, by `Clock.elapsed`. */
  readonly heardAtMs: number | undefined;
}

export interface LaneView {
  readonly isUp: boolean;
  /** Of the last probe that was answered. */
  readonly roundTripMs: number | undefined;
  readonly heard: Word | undefined;
}

export type Word = Pick<Probe, "isDraining" | "sendsOn" | "generation">;

export interface Look {
  readonly send: readonly Datagram[];
  /** When to look again although nothing is heard; Infinity if never. */
  readonly againAtMs: number;
  /** Whether the view is another than before, round trips and `heardAtMs` aside. */
  readonly hasChanged: boolean;
}

export interface Datagram {
  readonly lane: ProbedLane;
  readonly probe: Probe;
}

export class GatewayWatch {
  readonly key: string;
  readonly #session: number;
  /** One for all lanes, so that the other can tell what we said last. */
  #sequence = 0;
  #lanes: readonly WatchedLane[] = [];
  #hold: HoldDown = FRESH;
  #probedSinceMs: number | undefined;
  #received = 0;
  #view: GatewayView = { verdict: "unknown", lanes: new Map(), word: undefined, heardAtMs: undefined };

  /** `session` is a random u32. */
  constructor(key: string, session: number) {
    this.key = key;
    this.#session = session;
  }

  /** As of the last look. */
  get view(): GatewayView {
    return this.#view;
  }

  /** How many came and went, on all lanes. */
  get probes(): number {
    return this.#sequence + this.#received;
  }

  /** Makes these its lanes; one that stays keeps what was seen. */
  setLanes(lanes: readonly ProbedLane[]): void {
    const former = this.#lanes;
    this.#lanes = lanes.map((probed) => {
      const stays = former.find((lane) => isSameLane(lane.probed, probed));
      return stays ?? { probed, state: openLane(this.#session) };
    });
  }

  /** Takes a probe in that came by the plane; false for one that is repeated or late. */
  hear(plane: Plane, probe: Probe, nowMs: number): boolean {
    const lane = this.#lanes.find(({ probed }) => probed.plane === plane);
    if (lane === undefined) return false;
    this.#received++;
    const state = hearProbe(lane.state, probe, nowMs);
    const isNew = state !== lane.state;
    lane.state = state;
    return isNew;
  }

  /** Looks at the time. What it returns to send counts as sent; it sends nothing from where `canSend` says no. */
  look(outlook: Outlook, nowMs: number, canSend: (from: string) => boolean): Look {
    const send: Datagram[] = [];
    let againAtMs = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes) {
      againAtMs = Math.min(againAtMs, lapsesAtMs(lane.state, nowMs));
      if (!canSend(lane.probed.from)) continue;
      const { use, isDraining, sendsOn, generation } = outlook;
      const saying = { ...paceOf(lane.state, wishedMs(use), nowMs), isDraining, sendsOn, generation };
      if (dueAtMs(lane.state, saying, nowMs) <= nowMs) {
        const { lane: state, probe } = nextProbe(lane.state, { ...saying, sequence: ++this.#sequence }, nowMs);
        lane.state = state;
        send.push({ lane: lane.probed, probe });
        this.#probedSinceMs ??= nowMs;
      }
      againAtMs = Math.min(againAtMs, dueAtMs(lane.state, saying, nowMs));
    }
    const former = this.#view;
    this.#view = this.#see(nowMs);
    againAtMs = Math.min(againAtMs, judgeAgainAtMs(this.#hold, this.#probedSinceMs, nowMs));
    return { send, againAtMs, hasChanged: !isSame(former, this.#view) };
  }

  #see(nowMs: number): GatewayView {
    const anyUp = this.#lanes.some(({ state }) => isUp(state, nowMs));
    this.#hold = see(this.#hold, anyUp, nowMs);
    const last = this.#lanes.reduce<HeardProbe | undefined>((best, { state }) => later(best, state.heard), undefined);
    return {
      verdict: judge(this.#hold, this.#probedSinceMs, nowMs),
      lanes: new Map(this.#lanes.map(({ probed, state }) => [probed.plane, describe(state, nowMs)])),
      word: last && word(last),
      heardAtMs: last?.atMs,
    };
  }
}

interface WatchedLane {
  readonly probed: ProbedLane;
  state: LaneState;
}

function describe(state: LaneState, nowMs: number): LaneView {
  return { isUp: isUp(state, nowMs), roundTripMs: state.roundTripMs, heard: state.heard && word(state.heard) };
}

function word({ probe: { isDraining, sendsOn, generation } }: HeardProbe): Word {
  return { isDraining, sendsOn, generation };
}

function isSameLane(a: ProbedLane, b: ProbedLane): boolean {
  return a.plane === b.plane && a.from === b.from && a.to === b.to;
}

/** Of one session the sequence tells, of two the arrival. */
function later(a: HeardProbe | undefined, b: HeardProbe | undefined): HeardProbe | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.probe.session !== b.probe.session) return a.atMs > b.atMs ? a : b;
  return a.probe.sequence > b.probe.sequence ? a : b;
}

function isSame(a: GatewayView, b: GatewayView): boolean {
  if (a.verdict !== b.verdict || !isSameWord(a.word, b.word)) return false;
  return PLANES.every((plane) => {
    const [before, after] = [a.lanes.get(plane) ?? NOT_SEEN, b.lanes.get(plane) ?? NOT_SEEN];
    return before.isUp === after.isUp && isSameWord(before.heard, after.heard);
  });
}

const PLANES = ["a", "b"] as const;
const NOT_SEEN: LaneView = { isUp: false, roundTripMs: undefined, heard: undefined };

function isSameWord(a: Word | undefined, b: Word | undefined): boolean {
  return a?.isDraining === b?.isDraining && a?.sendsOn === b?.sendsOn && a?.generation === b?.generation;
}
