/**
 * @module The three ports to the kernel: WireGuard devices, rtnetlink objects and the firewall.
 *
 * Observations and changes are different types: an observation says everything that is there, a change only what to
 * change (undefined leaves it alone). Every `apply` is idempotent: removing what is gone and adding what is there
 * succeed without effect. It throws a `SpanwireError` with code "kernel", the errno's name as reason and a sentence.
 */
import type { Address, DeviceSettings, Nexthop, Route, Rule } from "@spanwire/core/desired/state";
import type { FirewallChange, NetworkChange, WireGuardChange } from "./change.ts";
import type { KernelFeatures } from "./features.ts";

export interface Kernel extends AsyncDisposable {
  readonly features: KernelFeatures;
  readonly wireguard: WireGuardPort;
  readonly network: NetworkPort;
  readonly firewall: FirewallPort;
}

export interface WireGuardPort {
  /** Reads one device with all its peers; undefined when no WireGuard device has this name. */
  observe(device: string): Promise<ObservedWireGuard | undefined>;
  apply(change: WireGuardChange): Promise<void>;
}

export interface ObservedWireGuard {
  readonly name: string;
  /** 0 while the device is down and was never given a port. */
  readonly listenPort: number;
  readonly fwmark: number;
  /** Base64; undefined while the device has no private key. */
  readonly publicKey: string | undefined;
  /** Sorted by public key. */
  readonly peers: readonly ObservedPeer[];
}

export interface ObservedPeer {
  readonly publicKey: string;
  readonly hasPresharedKey: boolean;
  /** "192.0.2.1:51820" or "[2001:db8::1]:51820": the one the kernel uses, roamed or written. */
  readonly endpoint: string | undefined;
  /** 0 is off. */
  readonly keepaliveSeconds: number;
  /** Milliseconds since the Unix epoch; undefined before the first handshake. */
  readonly lastHandshakeMs: number | undefined;
  readonly rxBytes: number;
  readonly txBytes: number;
  /** Sorted. */
  readonly allowedIps: readonly string[];
}

export interface NetworkPort {
  /** Reads what is ours (see ownership.ts) and nothing else. Every list is sorted by its key. */
  observe(): Promise<ObservedNetwork>;
  /** Reads the rest of the host, as far as `throw` routes and conditions about it need it. */
  host(): Promise<HostNetwork>;
  /**
   * Yields after links, addresses, routes, nexthops, rules, forwarding or the firewall may have changed, by anybody:
   * "look again". Many changes may come as one; at most 200 ms late; the first comes at once. Ends when the signal aborts.
   */
  watch(signal: AbortSignal): AsyncIterable<void>;
  apply(change: NetworkChange): Promise<void>;
}

export interface ObservedNetwork {
  readonly links: readonly ObservedLink[];
  /** One for each link. */
  readonly settings: readonly DeviceSettings[];
  /** Without link-local ones: the kernel makes those by itself. */
  readonly addresses: readonly Address[];
  readonly nexthops: readonly ObservedNexthop[];
  readonly routes: readonly ObservedRoute[];
  readonly rules: readonly Rule[];
}

export interface ObservedLink {
  /** A bridge without ports stands in for a dummy, and a tun for WireGuard in userspace; "other" is to be removed. */
  readonly kind: "dummy" | "wireguard" | "other";
  readonly name: string;
  readonly mtuBytes: number;
  readonly up: boolean;
}

/** "other": an object in our range that we would never make; it can be replaced or removed. */
export type ObservedNexthop = Nexthop | { readonly kind: "other"; readonly id: number };

/** "other": a route in our table that we would never make (a gateway, unreachable, …); it can only be removed. */
export type ObservedRoute = Omit<Route, "target"> & { readonly target: Route["target"] | OtherTarget };

export interface OtherTarget {
  readonly kind: "other";
  /** RTN_* of linux/rtnetlink.h. */
  readonly type: number;
}

/** What is not ours, without IPv6's link-local addresses and routes. */
export interface HostNetwork {
  readonly addresses: readonly Address[];
  /** Routes without a router, in any table but ours and `local`: what is directly connected. */
  readonly connected: readonly HostRoute[];
  /** Routes by a router in the main table. */
  readonly routed: readonly HostRoute[];
  /** Devices by which other machines' IPv4 packets may come in, and whether those are forwarded. Sorted by name. */
  readonly devices: readonly { readonly name: string; readonly forwarding: boolean }[];
  /** net.ipv6.conf.all.forwarding: no single device's setting counts. False where this kernel has no IPv6. */
  readonly ipv6Forwarding: boolean;
}

export interface HostRoute {
  /** Empty where there are several. */
  readonly device: string;
  readonly destination: string;
  readonly table: number;
}

export interface FirewallPort {
  observe(): Promise<ObservedFirewall>;
  /** Reads the named counters of our table; empty when it is absent. */
  counters(): Promise<ReadonlyMap<string, Counter>>;
  /** Reads what became of forwarded packets; undefined when our table is absent. Starts no process: it is read often. */
  forwarded(): Promise<Forwarded | undefined>;
  /** Lists other programs' chains that see forwarded packets and can drop them, sorted by name. Writes nothing. */
  foreignChains(): Promise<readonly ForeignChain[]>;
  apply(change: FirewallChange): Promise<void>;
}

export type ObservedFirewall =
  | { readonly kind: "absent" }
  /** Exactly what was written, by this process or another: the `firewallDigest` of the model that it was. */
  | { readonly kind: "present"; readonly digest: string }
  /** Our table is there, but not as we wrote it. */
  | { readonly kind: "altered"; readonly difference: string };

export interface Counter {
  readonly packets: number;
  readonly bytes: number;
}

/**
 * Packets with a remote source or destination since the table was made. Those that entered and were neither denied by us
 * nor passed were dropped by somebody else's rules, those of iptables-legacy and BPF included.
 */
export interface Forwarded {
  /** Before any rule of anybody. */
  readonly entered: number;
  /** By our own link policy. */
  readonly denied: number;
  /** After every rule of everybody. */
  readonly passed: number;
}

export interface ForeignChain {
  /** As nft names it: "ip filter FORWARD". */
  readonly name: string;
  readonly policy: "accept" | "drop";
  /** Another one whenever a rule of its table is another. */
  readonly version: string;
}
