/** @module What the fake kernel holds: one mutable record, shared by its three ports as the real tables are. */
import type { Address, DeviceSettings, Firewall, Nexthop, Route, Rule } from "@spanwire/core/desired/state";
import type { Secret } from "@spanwire/core/identity/secret";
import type { Counter, HostNetwork, ObservedRoute } from "../port.ts";

export interface FakeState {
  readonly links: Map<string, FakeLink>;
  addresses: Address[];
  readonly nexthops: Map<number, Nexthop>;
  routes: ObservedRoute[];
  rules: Rule[];
  /** A model, what somebody made of it by hand, or undefined. */
  firewall: Firewall | { readonly altered: string } | undefined;
  readonly counters: Map<string, Counter>;
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

export function emptyState(): FakeState {
  return {
    links: new Map(),
    addresses: [],
    nexthops: new Map(),
    routes: [],
    rules: [],
    firewall: undefined,
    counters: new Map(),
    host: { addresses: [], connected: [] },
  };
}

export function addLink(state: FakeState, link: Pick<FakeLink, "kind" | "name" | "mtuBytes" | "device">): void {
  const settings: DeviceSettings = { device: link.name, rpFilter: 0, forwarding: false };
  state.links.set(link.name, { ...link, up: false, settings });
}

/** Whether two routes share the slot in which one replaces the other. */
export function sameSlot(a: Slot, b: Slot): boolean {
  return a.table === b.table && a.destination === b.destination && a.metric === b.metric;
}

type Slot = Pick<Route, "table" | "destination" | "metric">;
