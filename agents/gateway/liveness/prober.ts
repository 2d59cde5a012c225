/**
 * @module Sends and takes in the probes on all lanes, and tells when what is seen of a gateway changes.
 *
 * One timer for all: gateways lie in a queue by the time at which something is due, a probe to send or a silence to
 * notice. What comes in is answered and judged at once.
 */
import type { Compiled } from "@spanwire/core/desired/compile";
import type { GatewayLiveness, Liveness } from "@spanwire/core/desired/local-facts";
import { decodeProbe, encodeProbe } from "@spanwire/core/liveness/probe";
import { type ProbedLane, probedLanes } from "@spanwire/core/liveness/probed-lanes";
import type { Verdict } from "@spanwire/core/liveness/verdict";
import type { Clock, Random } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import { type Loop, startLoop } from "@spanwire/runtime/loop/loop";
import { DueQueue } from "./due-queue.ts";
import { type GatewayView, GatewayWatch, type Outlook } from "./gateway-watch.ts";
import type { OpenProbeSocket, Source } from "./probe-socket.ts";
import { ProbeSockets } from "./probe-sockets.ts";

export interface ProberOptions {
  readonly open: OpenProbeSocket;
  /** The same at every gateway of the mesh. */
  readonly port: number;
  /** Asked before each probe to the gateway ("us.0"): an answer from memory. */
  readonly outlook: (gateway: string) => Outlook;
  /** Told whose view is another than before, round trips aside: "look again". */
  readonly onChanged: (gateways: ReadonlySet<string>) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface ProbeCounters {
  readonly sent: number;
  readonly received: number;
  /** Sockets that could not be opened, and datagrams that the kernel refused. */
  readonly failures: number;
  /** Datagrams from somebody else, those that are no probe, and those that are repeated or late. */
  readonly ignored: { readonly stranger: number; readonly malformed: number; readonly late: number };
}

/** What is due sooner after a step waits for the next one: at most 200 a second. */
const REST_MS = 5;
/** Gateways looked at in one go: what they are sent fits into a socket's buffer, and others get their turn. */
const AT_ONCE = 256;
/** A timer that is later means that this process stood still: first it reads, for so long, what came meanwhile. */
const STALL_MS = 10;
const CATCH_UP_MS = 10;

export class Prober {
  readonly #options: ProberOptions;
  readonly #sockets: ProbeSockets;
  readonly #watches = new Map<string, GatewayWatch>();
  /** By the other's address on the plane. */
  readonly #lanes = new Map<string, WatchedLane>();
  readonly #byCluster = new Map<string, readonly ProbedLane[]>();
  /** Lanes by our address. */
  readonly #users = new Map<string, number>();
  readonly #queue = new DueQueue<GatewayWatch>();
  readonly #avoided = new Map<string, GatewayLiveness>();
  readonly #ignored = { stranger: 0, malformed: 0, late: 0 };
  #changed = new Set<string>();
  #sent = 0;
  #received = 0;
  #loop: Loop | undefined;
  /** When the loop's timer ends. */
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #isCatchingUp = false;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#sockets = new ProbeSockets({
      ...options,
      onOpened: () => this.look(),
      onReceived: (at, from, bytes) => this.#receive(at, from, bytes),
    });
  }

  /** Probes the lanes of this wish. To be told of each, in their order; before `run` as well. */
  want({ desired, changed }: Pick<Compiled, "desired" | "changed">): void {
    for (const id of changed) {
      const fragment = desired.clusters.get(id);
      this.#setLanes(id, fragment === undefined ? [] : probedLanes(id, fragment));
    }
    this.#sockets.want(new Set(this.#users.keys()));
    this.#flush();
  }

  /** Says "the outlook on these may be another": what is new is told at once. */
  look(gateways: Iterable<string> = this.#watches.keys()): void {
    const nowMs = this.#options.clock.elapsed();
    for (const key of gateways) {
      const watch = this.#watches.get(key);
      if (watch !== undefined) this.#queue.by(watch, nowMs);
    }
    this.#loop?.wake();
  }

  /** Resolves when the signal has aborted; rejects with the error of a bug. */
  async run(): Promise<void> {
    const { clock, random, log, signal } = this.#options;
    this.#loop = startLoop({
      step: async () => this.#step(),
      onFailure: (err, _failure, retryInMs) => log.error({ err, retryInMs }, "probing failed"),
      clock,
      random,
      signal,
    });
    await this.#loop.done;
  }

  /** As last seen; undefined for one that is not probed. */
  view(gateway: string): GatewayView | undefined {
    return this.#watches.get(gateway)?.view;
  }

  /** How many gateways there are of each verdict. */
  get verdicts(): ReadonlyMap<Verdict, number> {
    const counts = new Map<Verdict, number>([
      ["up", 0],
      ["held", 0],
      ["down", 0],
      ["unknown", 0],
    ]);
    for (const { view } of this.#watches.values()) counts.set(view.verdict, (counts.get(view.verdict) ?? 0) + 1);
    return counts;
  }

  /** Those to be avoided, as compiling takes it; one that is unknown yet is none of them. Moves on by itself. */
  get liveness(): Liveness {
    return this.#avoided;
  }

  /** How many probes came from the gateway and went to it. */
  probes(gateway: string): number {
    return this.#watches.get(gateway)?.probes ?? 0;
  }

  get counters(): ProbeCounters {
    const { failures } = this.#sockets;
    return { sent: this.#sent, received: this.#received, failures, ignored: { ...this.#ignored } };
  }

  /** What keeps probes from being sent; undefined when nothing does. */
  get problem(): string | undefined {
    return this.#sockets.problem;
  }

  #setLanes(clusterId: string, lanes: readonly ProbedLane[]): void {
    const former = this.#byCluster.get(clusterId) ?? [];
    if (lanes.length === former.length && lanes.every((lane, n) => isSameLane(lane, former[n]))) return;
    if (lanes.length === 0) this.#byCluster.delete(clusterId);
    else this.#byCluster.set(clusterId, lanes);
    for (const { from, to } of former) {
      this.#lanes.delete(to);
      this.#count(from, -1);
    }
    const byGateway = Map.groupBy(lanes, ({ gateway }) => gateway);
    for (const key of new Set([...former, ...lanes].map(({ gateway }) => gateway))) {
      this.#watch(key, byGateway.get(key) ?? []);
    }
  }

  #watch(key: string, lanes: readonly ProbedLane[]): void {
    const { random, clock } = this.#options;
    const watch = this.#watches.get(key) ?? new GatewayWatch(key, Math.floor(random() * 2 ** 32));
    if (lanes.length === 0) {
      this.#watches.delete(key);
      this.#queue.drop(watch);
      this.#avoided.delete(key);
      this.#changed.add(key);
      return;
    }
    watch.setLanes(lanes);
    this.#watches.set(key, watch);
    for (const probed of lanes) {
      this.#lanes.set(probed.to, { probed, watch });
      this.#count(probed.from, 1);
    }
    this.#queue.by(watch, clock.elapsed());
    this.#loop?.wake();
  }

  #count(from: string, step: 1 | -1): void {
    const users = (this.#users.get(from) ?? 0) + step;
    if (users === 0) this.#users.delete(from);
    else this.#users.set(from, users);
  }

  #step(): number | undefined {
    const nowMs = this.#options.clock.elapsed();
    if (this.#isCatchingUp && nowMs < this.#wakeAtMs) return this.#wakeAtMs - nowMs;
    // Once: a machine that is always late must probe all the same.
    this.#isCatchingUp = this.#isLate(nowMs) && !this.#isCatchingUp;
    if (this.#isCatchingUp) return this.#rest(nowMs, CATCH_UP_MS);
    for (const watch of this.#queue.take(nowMs, AT_ONCE)) this.#look(watch, nowMs);
    this.#flush();
    const { nextMs } = this.#queue;
    return this.#rest(nowMs, nextMs === undefined ? undefined : Math.max(REST_MS, nextMs - nowMs));
  }

  #rest(nowMs: number, ms: number | undefined): number | undefined {
    this.#wakeAtMs = nowMs + (ms ?? Number.POSITIVE_INFINITY);
    return ms;
  }

  #receive(at: string, { address, port }: Source, bytes: Uint8Array): void {
    this.#received++;
    const lane = this.#lanes.get(address);
    if (lane === undefined || lane.probed.from !== at || port !== this.#options.port) {
      this.#ignored.stranger++;
      return;
    }
    const probe = decodeProbe(bytes);
    const nowMs = this.#options.clock.elapsed();
    if (probe === undefined) this.#ignored.malformed++;
    else if (!lane.watch.hear(lane.probed.plane, probe, nowMs)) this.#ignored.late++;
    else if (this.#isCatchingUp || this.#isLate(nowMs)) this.#queue.by(lane.watch, nowMs);
    else {
      this.#look(lane.watch, nowMs);
      this.#flush();
      if ((this.#queue.nextMs ?? this.#wakeAtMs) + REST_MS < this.#wakeAtMs) this.#loop?.wake();
    }
  }

  #isLate(nowMs: number): boolean {
    return nowMs - this.#wakeAtMs > STALL_MS;
  }

  #look(watch: GatewayWatch, nowMs: number): void {
    const { key } = watch;
    const canSend = (from: string) => this.#sockets.canSend(from);
    const { send, againAtMs, hasChanged } = watch.look(this.#options.outlook(key), nowMs, canSend);
    for (const { lane, probe } of send) this.#sockets.send(lane.from, lane.to, encodeProbe(probe));
    this.#sent += send.length;
    this.#queue.by(watch, againAtMs);
    if (!hasChanged) return;
    this.#changed.add(key);
    const liveness = livenessOf(watch.view);
    if (liveness === undefined) this.#avoided.delete(key);
    else this.#avoided.set(key, liveness);
  }

  #flush(): void {
    if (this.#changed.size === 0) return;
    const changed = this.#changed;
    this.#changed = new Set();
    this.#options.onChanged(changed);
  }
}

interface WatchedLane {
  readonly probed: ProbedLane;
  readonly watch: GatewayWatch;
}

/** One object each: compiling compares by reference. */
const DOWN: GatewayLiveness = { down: true };
const GONE: GatewayLiveness = { down: true, draining: true };
const HELD: GatewayLiveness = { down: false, held: true };
const DRAINING: GatewayLiveness = { down: false, draining: true };

/** Undefined for one that need not be avoided. */
function livenessOf({ verdict, word }: GatewayView): GatewayLiveness | undefined {
  const isDraining = word?.isDraining === true;
  if (verdict === "down") return isDraining ? GONE : DOWN;
  if (isDraining) return DRAINING;
  return verdict === "held" ? HELD : undefined;
}

function isSameLane(a: ProbedLane, b: ProbedLane | undefined): boolean {
  return a.gateway === b?.gateway && a.plane === b.plane && a.from === b.from && a.to === b.to;
}
