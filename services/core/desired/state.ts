/**
 * @module What a gateway's kernel should hold, as plain data: the output of `desired`, the shape that the kernel
 * adapters observe, and the two sides of the dataplane's diff.
 *
 * Text forms are those of `ip` and `wg`: prefixes as "10.1.0.0/16", addresses as "198.18.0.1" or "fd00::1",
 * WireGuard public keys in base64. Prefixes are canonical (no host bits, RFC 5952 for IPv6), so equality is `===`.
 */
import type { Secret } from "../identity/secret.ts";

export type Plane = "a" | "b";
export type Family = "ipv4" | "ipv6";

/** The whole wish for one gateway. Every list is sorted by its key, so that equal wishes are equal bytes. */
export interface KernelState {
  readonly links: readonly Link[];
  readonly settings: readonly DeviceSettings[];
  readonly addresses: readonly Address[];
  readonly peers: readonly Peer[];
  readonly nexthops: readonly Nexthop[];
  readonly routes: readonly Route[];
  readonly rules: readonly Rule[];
  readonly firewall: Firewall | undefined;
}

export type Link = DummyLink | WireGuardLink;

export interface DummyLink {
  readonly kind: "dummy";
  readonly name: string;
  readonly mtuBytes: number;
}

export interface WireGuardLink {
  readonly kind: "wireguard";
  readonly name: string;
  readonly mtuBytes: number;
  readonly listenPort: number;
  readonly fwmark: number;
  /** Undefined in an observation: the kernel returns it, the adapter keeps only the public half. */
  readonly privateKey?: Secret;
  /** Base64; derived from the private key. This is what the diff compares. */
  readonly publicKey: string;
}

export interface Address {
  readonly device: string;
  /** With its prefix length: "198.18.0.1/32". */
  readonly address: string;
}

export interface Peer {
  readonly device: string;
  readonly publicKey: string;
  readonly presharedKey?: Secret;
  /** Whether a preshared key is set: what an observation can say of it. */
  readonly hasPresharedKey: boolean;
  /**
   * "192.0.2.1:51820", "[2001:db8::1]:51820" or "host.example:51820", best first; empty when the peer has none and
   * must dial us. An observation holds the one the kernel uses. Never diffed: see the endpoint rule.
   */
  readonly endpoints: readonly string[];
  readonly keepaliveSeconds: number;
  /** Sorted. */
  readonly allowedIps: readonly string[];
}

/** A nexthop object (Linux 5.3) or a group of them (resilient groups: 5.13). */
export type Nexthop =
  | { readonly kind: "device"; readonly id: number; readonly family: Family; readonly device: string }
  | {
      readonly kind: "group";
      readonly id: number;
      readonly members: readonly { readonly id: number; readonly weight: number }[];
      /** Buckets of a resilient group; undefined for a hash-threshold group. */
      readonly resilientBuckets: number | undefined;
    };

export interface Route {
  readonly table: number;
  readonly destination: string;
  /** As the kernel holds it: the best is 0 for IPv4; for IPv6 0 is refused, because the kernel would make it 1024. */
  readonly metric: number;
  readonly target:
    | { readonly kind: "nexthop"; readonly id: number; readonly source: string }
    | { readonly kind: "device"; readonly device: string; readonly source: string }
    | { readonly kind: "blackhole" }
    | { readonly kind: "throw" };
  readonly mtuBytes?: number;
}

/** `ip rule`: "not fwmark MARK/MASK lookup TABLE", one for each family. */
export interface Rule {
  readonly family: Family;
  readonly priority: number;
  readonly notFwmark: { readonly mark: number; readonly mask: number };
  readonly table: number;
}

/** The nft table `inet spanwire`. */
export interface Firewall {
  /** Remote prefixes: what may neither leave nor enter except by the lanes. Sorted. */
  readonly remote: readonly string[];
  /** Networks of this host inside a remote prefix: no part of `remote`, but bound to their devices. Sorted. */
  readonly kept: readonly KeptNetwork[];
  /** What the lanes' names begin with ("sw-"), and the device of the stable address ("sw0"): what the guard excepts. */
  readonly lanePrefix: string;
  readonly stableDevice: string;
  readonly mark: { readonly mark: number; readonly mask: number };
  /** The link policy in forward direction; anything between mesh prefixes that matches none is dropped. */
  readonly forward: readonly ForwardRule[];
  /** Source translation of local hosts to a fixed overlay address, never masquerade. */
  readonly snat: readonly { readonly source: string; readonly destination: string; readonly to: string }[];
  /** Largest TCP segment for packets through the lanes, by family; undefined leaves MSS alone. */
  readonly mssClamp: { readonly ipv4: number; readonly ipv6: number } | undefined;
}

/** Its packets leave by one of these devices or not at all: a default route would take them the day the network is gone. */
export interface KeptNetwork {
  readonly prefix: string;
  /** Sorted. */
  readonly devices: readonly string[];
}

/** One allowed tuple. Its mirror (answers) is allowed without conntrack; a SYN without ACK only forward. */
export interface ForwardRule {
  /** Name of the link, for the counter: "eu~us". */
  readonly link: string;
  /**
   * Whether connections start on this side and go out by a lane, come in from a lane, or pass from lane to lane for
   * a pair that this cluster carries.
   */
  readonly direction: "out" | "in" | "through";
  readonly source: string;
  readonly destination: string;
  readonly protocol: "any" | "tcp" | "udp" | "icmp";
  /** Inclusive; empty means every port. Only with tcp and udp. */
  readonly ports: readonly { readonly first: number; readonly last: number }[];
}

/**
 * Per-device settings that netlink can write (RTM_SETLINK, IFLA_AF_SPEC, IFLA_INET_CONF; IPv4 only: the kernel takes
 * IPv6's forwarding from a sysctl alone). Every lane wants 2 and true: 0 is not enough where `all` is 1.
 */
export interface DeviceSettings {
  readonly device: string;
  /** 0 off, 1 strict, 2 loose (RFC 3704). */
  readonly rpFilter: 0 | 1 | 2;
  readonly forwarding: boolean;
}
