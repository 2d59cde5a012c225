/** @module Turns map and host facts into wishes for the data plane, and remembers what they were made of. */
import { type Changed, type Compiled, createCompiler } from "@spanwire/core/desired/compile";
import type { Condition } from "@spanwire/core/desired/condition";
import { conditionsOf, type Desired } from "@spanwire/core/desired/desired";
import type { Liveness, LocalFacts, Pairs } from "@spanwire/core/desired/local-facts";
import type { MapView } from "@spanwire/core/desired/map-view";
import { parseKey } from "@spanwire/core/records/key";
import type { OpenedRecord } from "@spanwire/core/records/open";
import type { GatewayRef } from "@spanwire/core/subjects";
import { NO_NETWORKS } from "./dataplane/local-networks.ts";
import { buildLocalFacts, type DataplaneSettings, type HostFacts } from "./local-facts.ts";

export class Planner {
  readonly #view: MapView;
  readonly #self: GatewayRef;
  readonly #settings: DataplaneSettings;
  readonly #seen: () => Seen;
  readonly #compiler = createCompiler();
  /** Of clusters that have any. */
  readonly #conditionsOf = new Map<string, readonly Condition[]>();
  #host: HostFacts = { keys: [], control: [], ...NO_NETWORKS };
  #local: LocalFacts;
  #desired: Desired | undefined;

  /** `seen` is asked with each plan; without it every remote gateway counts as up, and the epoch record is followed. */
  constructor(view: MapView, self: GatewayRef, settings: DataplaneSettings, seen: () => Seen = () => NOTHING_SEEN) {
    this.#view = view;
    this.#self = self;
    this.#settings = settings;
    this.#seen = seen;
    this.#local = buildLocalFacts(self, settings, this.#host);
  }

  /** The last wish; undefined while the map lacks what every wish needs. Its clusters move on with the next one. */
  get desired(): Desired | undefined {
    return this.#desired;
  }

  get conditions(): readonly Condition[] {
    return this.#desired === undefined ? [] : conditionsOf(this.#desired);
  }

  /** Takes newly observed facts; tells whether they are others than before, so that everything must be planned anew. */
  observe(facts: Partial<HostFacts>): boolean {
    const host = { ...this.#host, ...facts };
    const print = ({ keys, ...others }: HostFacts) => JSON.stringify([keys.map(({ publicKey }) => publicKey), others]);
    if (print(host) === print(this.#host)) return false;
    this.#host = host;
    this.#local = buildLocalFacts(this.#self, this.#settings, host);
    return true;
  }

  /** Undefined while the map lacks mesh, epoch or link policy: then the kernel is left as it is. */
  plan(changed: Changed): Planned | undefined {
    const input = { view: this.#view, local: this.#local, ...this.#seen() };
    const compiled = this.#compiler.compile(input, changed);
    if (compiled === undefined) return undefined;
    this.#desired = compiled.desired;
    return { compiled, conditionsChanged: this.#noteConditions(compiled) };
  }

  /** Compares by reference: the compiler keeps what has not changed. */
  #noteConditions({ desired, changed, baseChanged }: Compiled): boolean {
    let isOther = baseChanged;
    for (const id of changed) {
      const conditions = desired.clusters.get(id)?.conditions ?? [];
      const former = this.#conditionsOf.get(id) ?? [];
      isOther ||= conditions !== former && conditions.length + former.length > 0;
      if (conditions.length > 0) this.#conditionsOf.set(id, conditions);
      else this.#conditionsOf.delete(id);
    }
    return isOther;
  }
}

export interface Planned {
  readonly compiled: Compiled;
  readonly conditionsChanged: boolean;
}

export interface Seen {
  readonly liveness: Liveness;
  readonly pairs: Pairs;
}

const NOTHING_SEEN: Seen = { liveness: new Map(), pairs: new Map() };

/** Of these gateways ("us.0"). */
export function clustersOf(gateways: Iterable<string>): ReadonlySet<string> {
  return new Set(Array.from(gateways, (gateway) => gateway.slice(0, gateway.lastIndexOf("."))));
}

/** Which clusters' part of the wish these records may change. */
export function changedClusters(records: readonly OpenedRecord[]): Changed {
  const clusters = new Set<string>();
  for (const { key } of records) {
    const parsed = parseKey(key);
    if (parsed.type !== "cluster" && parsed.type !== "gateway") return "all";
    clusters.add(parsed.clusterId);
  }
  return clusters;
}
