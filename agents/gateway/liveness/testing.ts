/** @module Probers for tests: several ends on one fake network and one clock, each with a map of its own. */
import { compileOnce, type TestMap, testLocal, testMap } from "@spanwire/core/desired/testing";
import type { Use } from "@spanwire/core/liveness/pace";
import { DEFAULT_PROBE_PORT } from "@spanwire/core/liveness/probe";
import type { Clock, Random } from "@spanwire/core/time";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { createRecordingLog, type RecordingLog } from "@spanwire/runtime/log/recording-log";
import { FakeNetwork } from "./fake-network.ts";
import type { Outlook } from "./gateway-watch.ts";
import type { OpenProbeSocket } from "./probe-socket.ts";
import { Prober } from "./prober.ts";

export const IDLE: Use = { hasAlternative: false, hasTraffic: false, isRotating: false };
export const FAST: Use = { ...IDLE, hasAlternative: true, hasTraffic: true };
export const ROTATING: Use = { ...IDLE, isRotating: true };

/** The clusters of these tests: two gateways in the middle, one at each side. */
export const EU = { id: "eu", block: 0, prefixes: ["10.1.0.0/16"] };
export const US = { id: "us", block: 1, prefixes: ["10.2.0.0/16"], gateways: [{ ordinal: 0 }, { ordinal: 1 }] };

/** The address of a gateway of these clusters on plane a. */
export function planeAddress(block: number, ordinal: number): string {
  return `198.18.0.${block * 64 + 16 + ordinal}`;
}

export interface End {
  readonly prober: Prober;
  readonly log: RecordingLog;
  /** What it says and wants; a test may change it, and then calls `prober.look`. */
  outlook: Outlook;
  /** The gateways of each call of `onChanged`. */
  readonly events: string[];
  /** Ends it as a crash does: nothing more is said. */
  stop(): Promise<void>;
}

export interface EndOptions {
  readonly clusterId: string;
  readonly ordinal?: number;
  readonly use?: Use;
  readonly clock?: Clock;
  readonly open?: OpenProbeSocket;
}

export class ProbeLab {
  readonly clock = new FakeClock(1_700_000_000_000);
  readonly network: FakeNetwork;
  readonly map: TestMap;
  readonly #random: Random;

  constructor({ seed = 1, opening }: { readonly seed?: number; readonly opening?: bigint } = {}) {
    this.#random = seeded(seed);
    this.network = new FakeNetwork({ clock: this.clock, random: this.#random });
    this.map = testMap({
      clusters: [EU, US],
      epoch: { active: 0n, ...(opening === undefined ? {} : { opening }) },
    });
  }

  start({ clusterId, ordinal = 0, use = IDLE, clock = this.clock, open = this.network.open }: EndOptions): End {
    const controller = new AbortController();
    const log = createRecordingLog();
    const events: string[] = [];
    const end = { outlook: { use, isDraining: false, sendsOn: 0n, generation: 1n }, events, log };
    const prober = new Prober({
      open,
      port: DEFAULT_PROBE_PORT,
      outlook: () => end.outlook,
      onChanged: (gateways) => events.push([...gateways].sort().join()),
      random: this.#random,
      signal: controller.signal,
      clock,
      log,
    });
    prober.want(compileOnce(this.map, testLocal(this.map, clusterId, ordinal)));
    const running = prober.run();
    const stop = async () => {
      controller.abort();
      await running;
    };
    return Object.assign(end, { prober, stop });
  }
}

/** mulberry32: the same numbers for the same seed. */
export function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
