/** @module The explicit changes that the kernel ports know: what a diff produces and `apply` performs, one by one. */
import type { Address, DeviceSettings, Firewall, Nexthop, Route, Rule } from "@spanwire/core/desired/state";
import type { Secret } from "@spanwire/core/identity/secret";
import type { Kernel, ObservedLink, ObservedRoute } from "./port.ts";

export type Change = WireGuardChange | NetworkChange | FirewallChange;

/** Undefined fields leave the kernel's value alone. No change replaces a list of peers or of allowed IPs. */
export type WireGuardChange =
  /** Makes the device, down and without a key. */
  | { readonly kind: "add-wireguard-link"; readonly name: string; readonly mtuBytes: number }
  | { readonly kind: "remove-wireguard-link"; readonly name: string }
  | {
      readonly kind: "set-wireguard-device";
      readonly device: string;
      /** The same key again is no change; another key ends every session of the device. */
      readonly privateKey?: Secret;
      readonly listenPort?: number;
      readonly fwmark?: number;
    }
  | {
      readonly kind: "add-peer";
      readonly device: string;
      readonly publicKey: string;
      readonly presharedKey?: Secret;
      /** Numeric: "192.0.2.1:51820" or "[2001:db8::1]:51820". */
      readonly endpoint?: string;
      readonly keepaliveSeconds: number;
      readonly allowedIps: readonly string[];
    }
  | { readonly kind: "remove-peer"; readonly device: string; readonly publicKey: string }
  /** A prefix that another peer of the device owns moves, in one step. */
  | {
      readonly kind: "add-allowed-ips";
      readonly device: string;
      readonly publicKey: string;
      readonly allowedIps: readonly string[];
    }
  /** Removes only those that this peer still owns: one that moved meanwhile stays where it is. */
  | {
      readonly kind: "remove-allowed-ips";
      readonly device: string;
      readonly publicKey: string;
      readonly allowedIps: readonly string[];
    }
  | { readonly kind: "set-endpoint"; readonly device: string; readonly publicKey: string; readonly endpoint: string }
  | {
      readonly kind: "set-keepalive";
      readonly device: string;
      readonly publicKey: string;
      readonly keepaliveSeconds: number;
    }
  /** Read at the next handshake; undefined takes it away. Never for a live peer: both sides would have to change at once. */
  | {
      readonly kind: "set-preshared-key";
      readonly device: string;
      readonly publicKey: string;
      readonly presharedKey: Secret | undefined;
    };

/** What changes a device that is there. */
export type DeviceChange = Exclude<WireGuardChange, { kind: "add-wireguard-link" | "remove-wireguard-link" }>;

export type NetworkChange =
  /** Makes the device, down. */
  | { readonly kind: "add-dummy-link"; readonly name: string; readonly mtuBytes: number }
  /** Also for a link of kind "other" that stands where ours should. */
  | { readonly kind: "remove-link"; readonly name: string }
  | { readonly kind: "set-link"; readonly name: string; readonly mtuBytes?: number; readonly up?: boolean }
  | { readonly kind: "set-settings"; readonly settings: DeviceSettings }
  | { readonly kind: "add-address"; readonly address: Address }
  | { readonly kind: "remove-address"; readonly address: Address }
  /** Adds or replaces in one step; routes and groups that use it follow. A group cannot change its type or buckets. */
  | { readonly kind: "replace-nexthop"; readonly nexthop: Nexthop }
  /** Takes its routes along, and leaves the groups that it is a member of. */
  | { readonly kind: "remove-nexthop"; readonly id: number }
  /** Adds or replaces the route of this table, destination and metric in one step. */
  | { readonly kind: "replace-route"; readonly route: Route }
  /** Removes exactly this one: the kernel alone would take "metric 0" for "any metric", a blackhole for instance. */
  | { readonly kind: "remove-route"; readonly route: ObservedRoute }
  | { readonly kind: "add-rule"; readonly rule: Rule }
  | { readonly kind: "remove-rule"; readonly rule: Rule };

export type FirewallChange =
  | { readonly kind: "replace-firewall"; readonly firewall: Firewall }
  | { readonly kind: "remove-firewall" };

/** Performs one change through the port that knows it. */
export async function applyChange(kernel: Kernel, change: Change): Promise<void> {
  if (isWireGuardChange(change)) return kernel.wireguard.apply(change);
  if (isFirewallChange(change)) return kernel.firewall.apply(change);
  return kernel.network.apply(change);
}

/** The change that makes a link of this kind go away. */
export function removeLink(link: Pick<ObservedLink, "kind" | "name">): Change {
  return link.kind === "wireguard"
    ? { kind: "remove-wireguard-link", name: link.name }
    : { kind: "remove-link", name: link.name };
}

export function isWireGuardChange(change: Change): change is WireGuardChange {
  switch (change.kind) {
    case "add-wireguard-link":
    case "remove-wireguard-link":
    case "set-wireguard-device":
    case "add-peer":
    case "remove-peer":
    case "add-allowed-ips":
    case "remove-allowed-ips":
    case "set-endpoint":
    case "set-keepalive":
    case "set-preshared-key":
      return true;
    default:
      return false;
  }
}

export function isFirewallChange(change: Change): change is FirewallChange {
  return change.kind === "replace-firewall" || change.kind === "remove-firewall";
}
