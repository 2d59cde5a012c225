/** @module What the fake kernel holds: one mutable record, shared by its three ports as the real tables are. */
import type { Address, DeviceSettings, Firewall, Nexthop, Route, Rule } from "@spanwire/core/desired/state";
import type { Secret } from "@spanwire/core/identity/secret";
import type { Counter, ForeignChain, Forwarded, HostNetwork, ObservedRoute } from "../port.ts";

export interface FakeState {
  readonly links: Map<string, FakeLink>;
  addresses: Address[];
  readonly nexthops: Map<number, Nexthop>;
  /** By slot: a thousand sites have thousands of routes. */
  readonly routes: Map<string, ObservedRoute>;
  rules: Rule[];
  /** A model, what somebody made of it by hand, or undefined. */
  firewall: Firewall | { readonly altered: string } | undefined;
  readonly counters: Map<string, Counter>;
  forwarded: Forwarded;
  foreignChains: readonly ForeignChain[];
  host: HostNetwork;
}

export interface FakeLink {
  readonly name: string;
  readonly device: FakeDevice | undefined;
  readonly kind: "dummy" | "wireguard" | "other";
  mtuBytes: number;
  up: boolean;
  settings: DeviceSettings;
}

export interface FakeDevice {
  publicKey: string | undefined;
  privateKey: Secret | undefined;
  listenPort: number;
  fwmark: number;
  readonly peers: Map<string, FakePeer>;
  /** The one peer that each allowed IP belongs to. */
  readonly owners: Map<string, FakePeer>;
}

export interface FakePeer {
  presharedKey: Secret | undefined;
  endpoint: string | undefined;
  keepaliveSeconds: number;
  lastHandshakeMs: number | undefined;
  rxBytes: number;
  txBytes: number;
  readonly allowedIps: Set<string>;
}

export const NOTHING_FORWARDED: Forwarded = { entered: 0, denied: 0, passed: 0 };

const EMPTY_HOST: HostNetwork = { addresses: [], connected: [], routed: [], devices: [], ipv6Forwarding: true };

export function emptyState(): FakeState {
  return {
    links: new Map(),
    addresses: [],
    nexthops: new Map(),
    routes: new Map(),
    rules: [],
    firewall: undefined,
    counters: new Map(),
    forwarded: NOTHING_FORWARDED,
    foreignChains: [],
    host: EMPTY_HOST,
  };
}

export function addLink(state: FakeState, link: Pick<FakeLink, "kind" | "name" | "mtuBytes" | "device">): void {
  const settings: DeviceSettings = { device: link.name, rpFilter: 0, forwarding: false };
  state.links.set(link.name, { ...link, up: false, settings });
}

/** What a route replaces: two of the same slot cannot be there at once. */
export function slotOf({ table, destination, metric }: Pick<Route, "table" | "destination" | "metric">): string {
  return `${table} ${destination} ${metric}`;
}
