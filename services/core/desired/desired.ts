/**
 * @module The wish for one gateway in pieces: what is its own, and what each remote cluster adds.
 *
 * A piece that has not changed is the same object as before, and so is each of its lists, so the dataplane can skip
 * it by reference. `flatten` gives the whole, sorted.
 */
import type { Condition } from "./condition.ts";
import type { Firewall, ForwardRule, KernelState } from "./state.ts";

export interface Desired {
  readonly base: Fragment;
  /** By cluster id. */
  readonly clusters: ReadonlyMap<string, Fragment>;
  /** What the firewall says of no cluster in particular. */
  readonly firewall: FirewallFrame;
}

/** Every list in an order that follows from the records alone. */
export interface Fragment extends Omit<KernelState, "firewall"> {
  readonly remote: Firewall["remote"];
  readonly kept: Firewall["kept"];
  readonly forward: Firewall["forward"];
  readonly snat: Firewall["snat"];
  readonly conditions: readonly Condition[];
}

export type FirewallFrame = Omit<Firewall, "remote" | "kept" | "forward" | "snat">;

const NONE: readonly never[] = Object.freeze([]);

export const EMPTY_FRAGMENT: Fragment = {
  links: NONE,
  settings: NONE,
  addresses: NONE,
  peers: NONE,
  nexthops: NONE,
  routes: NONE,
  rules: NONE,
  remote: NONE,
  kept: NONE,
  forward: NONE,
  snat: NONE,
  conditions: NONE,
};

/** Puts the pieces together; every list sorted, so that equal wishes are equal bytes. */
export function flatten({ base, clusters, firewall }: Desired): KernelState {
  const pieces = [base, ...clusters.values()];
  return {
    links: sorted(
      pieces,
      (piece) => piece.links,
      (link) => link.name,
    ),
    settings: sorted(
      pieces,
      (piece) => piece.settings,
      (each) => each.device,
    ),
    addresses: sorted(
      pieces,
      (piece) => piece.addresses,
      (each) => `${each.device} ${each.address}`,
    ),
    peers: sorted(
      pieces,
      (piece) => piece.peers,
      (peer) => `${peer.device} ${peer.publicKey}`,
    ),
    nexthops: sorted(
      pieces,
      (piece) => piece.nexthops,
      (nexthop) => String(nexthop.id),
    ),
    routes: sorted(
      pieces,
      (piece) => piece.routes,
      (route) => `${route.destination} ${route.metric}`,
    ),
    rules: sorted(
      pieces,
      (piece) => piece.rules,
      (rule) => rule.family,
    ),
    firewall: {
      ...firewall,
      remote: sorted(
        pieces,
        (piece) => piece.remote,
        (prefix) => prefix,
      ),
      kept: sorted(
        pieces,
        (piece) => piece.kept,
        (network) => network.prefix,
      ),
      forward: sorted(pieces, (piece) => piece.forward, forwardKey),
      snat: sorted(
        pieces,
        (piece) => piece.snat,
        (each) => `${each.source} ${each.destination}`,
      ),
    },
  };
}

/** All conditions, in the order of their type and subject. */
export function conditionsOf({ base, clusters }: Desired): readonly Condition[] {
  return sorted(
    [base, ...clusters.values()],
    (piece) => piece.conditions,
    ({ type, subject }) => `${type} ${subject}`,
  );
}

function forwardKey({ link, direction, source, destination, protocol, ports }: ForwardRule): string {
  const first = ports.map((range) => `${range.first}-${range.last}`).join();
  return `${link} ${direction} ${source} ${destination} ${protocol} ${first}`;
}

function sorted<T>(
  pieces: readonly Fragment[],
  pick: (piece: Fragment) => readonly T[],
  key: (item: T) => string,
): T[] {
  const keyed = pieces.flatMap((piece) => pick(piece).map((item) => ({ item, key: key(item) })));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ item }) => item);
}
