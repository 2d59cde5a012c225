/** @module What only this host knows, and so the map does not say. */
import type { Secret } from "../identity/secret.ts";

/**
 * Configuration and observation of one gateway's host. Treated as immutable: a change is a new object, and a new
 * object recompiles everything.
 */
export interface LocalFacts {
  readonly clusterId: string;
  readonly ordinal: number;
  /** Our WireGuard keys, at most one for each epoch. */
  readonly keys: readonly OwnKey[];
  /** The lane of remote ordinal k listens at basePort + 2k on plane a and basePort + 2k + 1 on plane b. */
  readonly basePort: number;
  readonly mtuBytes: number;
  /** routed: carried by the lanes. guarded: not carried, and never leaves in clear. off: this kernel has none. */
  readonly ipv6: "routed" | "guarded" | "off";
  /** Subnets of this host's own devices, lanes excepted: they stay local (`throw`). */
  readonly connected: readonly LocalNetwork[];
  /** Networks that this host reaches by a router: compared with remote prefixes, never changed. */
  readonly localRoutes: readonly string[];
  /** By which devices packets leave that no other route takes ("0.0.0.0/0", "::/0"). */
  readonly defaultRoutes: readonly LocalNetwork[];
  /** Addresses of this host ("10.1.0.1/32") in none of its subnets: on loopback, or given out one by one. */
  readonly loneAddresses: readonly string[];
  /** Local IPv4 networks, and the device that their packets come in by, where it does not forward them. */
  readonly notForwarding: readonly LocalNetwork[];
  /** Whether the host forwards IPv6 at all: that setting counts for every device at once. */
  readonly ipv6Forwarding: boolean;
  /** Addresses of hub and NATS: never routed through the tunnels. */
  readonly control: readonly string[];
  /** Local prefixes whose hosts are translated to our stable address when they go out. */
  readonly snat: readonly string[];
  /** Buckets of resilient groups; undefined where the kernel has none (before Linux 5.13). */
  readonly resilientBuckets: number | undefined;
  readonly routing: Routing;
}

export interface LocalNetwork {
  readonly device: string;
  readonly network: string;
}

export interface OwnKey {
  readonly epoch: bigint;
  /** Base64. */
  readonly publicKey: string;
  /** Absent in a plan that somebody else looks at. */
  readonly privateKey?: Secret;
}

export interface Routing {
  readonly table: number;
  readonly rulePriority: number;
  /** Marks outer packets, so that they skip the table. */
  readonly fwmark: { readonly mark: number; readonly mask: number };
}

export const DEFAULT_BASE_PORT = 51_820;
export const DEFAULT_MTU_BYTES = 1420;
export const DEFAULT_RESILIENT_BUCKETS = 32;
export const DEFAULT_ROUTING: Routing = {
  table: 5180,
  rulePriority: 5180,
  fwmark: { mark: 0x1000, mask: 0x1000 },
};

/** What was seen of remote gateways, by "cluster.ordinal" ("us.0"). One that is missing is up, on the active plane. */
export type Liveness = ReadonlyMap<string, GatewayLiveness>;

export interface GatewayLiveness {
  readonly down: boolean;
  /** As it says itself, in its probes: before its statement comes, and without the hub. */
  readonly draining?: boolean;
  /** It fell and is up again, and has not been so for long. */
  readonly held?: boolean;
}

/** What a rotation has come to with remote gateways, by "cluster.ordinal". With one that is missing the record is followed. */
export type Pairs = ReadonlyMap<string, PairLanes>;

export interface PairLanes {
  /** Epochs of the peers to hold, as far as both sides have keys. */
  readonly build: readonly bigint[];
  /** The epoch to send on. */
  readonly sendOn: bigint | undefined;
}
