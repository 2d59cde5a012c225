/** @module Wires the endpoint rule of the core: what the kernel shows of each peer -> endpoints to write. */
import { decideEndpoint, type EndpointFacts, type EndpointMemory } from "@spanwire/core/desired/endpoint";
import type { Peer } from "@spanwire/core/desired/state";
import type { Clock } from "@spanwire/core/time";
import type { Change } from "../kernel/change.ts";
import type { ObservedPeer } from "../kernel/port.ts";
import { isNumericEndpoint } from "./numeric-endpoint.ts";
import type { Observed } from "./observe.ts";
import { PeerMap } from "./peer-map.ts";
import { type Resolve, resolveEndpoint, splitEndpoint } from "./resolve-endpoint.ts";

export interface EndpointsOptions {
  readonly resolve: Resolve;
  readonly clock: Clock;
  /** Told when a name has been resolved: the next look writes the address. */
  readonly onResolved: () => void;
}

/** A peer as it was last seen or written, and what the rule remembers of it. */
interface Watched {
  facts: Facts;
  memory: EndpointMemory | undefined;
  lookup: Lookup | undefined;
  attempts: number;
}

type Facts = Omit<EndpointFacts, "nowMs">;

interface Lookup {
  readonly host: string;
  readonly sinceMs: number;
  /** The endpoint in place of which another is sought: one that the peer finds by itself meanwhile is better. */
  readonly instead: string | undefined;
  result: "pending" | "failed" | { readonly endpoint: string };
}

/** A name server that takes longer is asked again. */
const PATIENCE_MS = 30_000;

export class Endpoints {
  readonly #options: EndpointsOptions;
  #watched = new PeerMap<Watched>();
  #remote: readonly string[] = [];
  #lookedAtMs = 0;

  constructor(options: EndpointsOptions) {
    this.#options = options;
  }

  /** Names that are being resolved or could not be, sorted. */
  get unresolved(): readonly string[] {
    const hosts = [...this.#watched.values()].flatMap(({ lookup }) => lookup?.host ?? []);
    return [...new Set(hosts)].sort();
  }

  /** Decides for all wanted peers, after a look; those that are still to be added count as added. */
  look(wanted: readonly Peer[], { devices }: Pick<Observed, "devices">, remote: readonly string[]): Change[] {
    this.#lookedAtMs = this.#options.clock.now();
    this.#remote = remote;
    const seen = new PeerMap<ObservedPeer>();
    for (const { name: device, peers } of devices.values()) {
      for (const peer of peers) seen.set({ device, publicKey: peer.publicKey }, peer);
    }
    const former = this.#watched;
    this.#watched = new PeerMap();
    const changes: Change[] = [];
    for (const peer of wanted) {
      const observed = seen.get(peer);
      const facts = observed === undefined ? factsOfNew(peer) : factsOf(peer, observed);
      const watched = former.get(peer) ?? watch(facts);
      watched.facts = facts;
      this.#watched.set(peer, watched);
      changes.push(...this.#takeResolved(peer, watched), ...this.#decide(peer, watched));
    }
    return changes;
  }

  /** Decides for peers whose wish changed, by what the last look showed of them. */
  change(former: readonly Peer[], next: readonly Peer[]): Change[] {
    const left = new Set(former);
    const changes = next.flatMap((peer) => {
      const before = former.find((each) => each.device === peer.device && each.publicKey === peer.publicKey);
      if (before !== undefined) left.delete(before);
      if (before?.endpoints.join() === peer.endpoints.join()) return [];
      const watched = this.#watched.get(peer) ?? watch(factsOfNew(peer));
      watched.facts = { ...watched.facts, candidates: peer.endpoints };
      watched.lookup = undefined;
      this.#watched.set(peer, watched);
      return this.#decide(peer, watched);
    });
    for (const peer of left) this.#watched.delete(peer);
    return changes;
  }

  #decide(peer: Peer, watched: Watched): Change[] {
    const { facts, lookup } = watched;
    const nowMs = this.#lookedAtMs;
    if (lookup?.result === "pending" && nowMs - lookup.sinceMs < PATIENCE_MS) return [];
    const { write, memory } = decideEndpoint({ ...facts, nowMs }, watched.memory);
    watched.memory = memory;
    if (write === undefined) {
      if (facts.endpoint !== lookup?.instead) watched.lookup = undefined; // it has another by now
      return [];
    }
    if (isNumericEndpoint(write)) return writeEndpoint(peer, watched, write);
    this.#resolve(write, watched);
    return [];
  }

  #takeResolved(peer: Peer, watched: Watched): Change[] {
    const { lookup, facts } = watched;
    if (lookup === undefined || typeof lookup.result === "string") return [];
    watched.lookup = undefined;
    return facts.endpoint === lookup.instead ? writeEndpoint(peer, watched, lookup.result.endpoint) : [];
  }

  #resolve(candidate: string, watched: Watched): void {
    const { resolve, clock, onResolved } = this.#options;
    const { host } = splitEndpoint(candidate);
    const lookup: Lookup = { host, sinceMs: clock.now(), instead: watched.facts.endpoint, result: "pending" };
    watched.lookup = lookup;
    const attempt = watched.attempts++;
    resolveEndpoint(candidate, { resolve, remote: this.#remote, attempt }).then(
      (endpoint) => {
        lookup.result = endpoint === undefined ? "failed" : { endpoint };
        if (endpoint !== undefined) onResolved();
      },
      () => {
        lookup.result = "failed"; // said by `unresolved`; the rule asks again
      },
    );
  }
}

function watch(facts: Facts): Watched {
  return { facts, memory: undefined, lookup: undefined, attempts: 0 };
}

function writeEndpoint(peer: Peer, watched: Watched, endpoint: string): Change[] {
  const { device, publicKey } = peer;
  watched.lookup = undefined;
  if (watched.facts.endpoint === endpoint) return [];
  watched.facts = { ...watched.facts, endpoint };
  return [{ kind: "set-endpoint", device, publicKey, endpoint }];
}

function factsOf({ endpoints }: Peer, observed: ObservedPeer): Facts {
  const { endpoint, txBytes, rxBytes, lastHandshakeMs } = observed;
  const handshaken = lastHandshakeMs !== undefined;
  return { candidates: endpoints, endpoint, sentBytes: txBytes, receivedBytes: rxBytes, handshaken };
}

/** As `diffPeers` adds it: with its best candidate where that needs no resolving. */
function factsOfNew({ endpoints: candidates }: Peer): Facts {
  const best = candidates[0];
  const endpoint = best !== undefined && isNumericEndpoint(best) ? best : undefined;
  return { candidates, endpoint, sentBytes: 0, receivedBytes: 0, handshaken: false };
}
