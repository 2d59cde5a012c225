/** @module Peers of the lanes: what is missing, what changes hands, what is left over. */
import type { Peer } from "@spanwire/core/desired/state";
import type { Change } from "../kernel/change.ts";
import { isNumericEndpoint } from "./numeric-endpoint.ts";
import { areSame } from "./same-lists.ts";
import type { Planned } from "./step.ts";

/** As observed, or as wished before. */
export interface PresentPeer
  extends Pick<Peer, "device" | "publicKey" | "keepaliveSeconds" | "hasPresharedKey" | "allowedIps"> {
  /** Whether it may have a session: then its preshared key must not change. */
  readonly live: boolean;
}

/**
 * Plans what turns `present` into `wanted`.
 *
 * A prefix that changes hands on a device is added to its new peer, which takes it from the old one in one step. An
 * endpoint is written when a peer is made and never compared: that is the endpoint rule's. Where two wanted peers of
 * a device claim one prefix the first has it, so that they do not take it from each other for ever.
 */
export function diffPeers(wanted: readonly Peer[], present: readonly PresentPeer[]): Planned[] {
  if (areSame(wanted, present, isSamePeer)) return [];
  const owners = ownersOf(wanted);
  const left = new Map(present.map((peer) => [peerKey(peer), peer]));
  const given = new Set<string>();
  const planned: Planned[] = [];
  const takings: { readonly from: PresentPeer; readonly extra: readonly string[] }[] = [];

  for (const peer of wanted) {
    const allowedIps = peer.allowedIps.filter((prefix) => owners.get(slotKey(peer.device, prefix)) === peer);
    const current = left.get(peerKey(peer));
    left.delete(peerKey(peer));
    const missing = current === undefined ? allowedIps : without(allowedIps, current.allowedIps);
    for (const prefix of missing) given.add(slotKey(peer.device, prefix));
    if (current === undefined) {
      planned.push({ step: "peer", change: addPeer(peer, allowedIps) });
    } else {
      planned.push(...update(peer, current, missing));
      takings.push({ from: current, extra: without(current.allowedIps, allowedIps) });
    }
  }
  for (const { from, extra } of takings) {
    const { device, publicKey } = from;
    const allowedIps = extra.filter((prefix) => !given.has(slotKey(device, prefix)));
    if (allowedIps.length === 0) continue;
    planned.push({ step: "remove-allowed-ip", change: { kind: "remove-allowed-ips", device, publicKey, allowedIps } });
  }
  for (const { device, publicKey } of left.values()) {
    planned.push({ step: "remove-peer", change: { kind: "remove-peer", device, publicKey } });
  }
  return planned;
}

/** Where the kernel has all that is wanted no prefix has two owners: there it can have but one. */
function isSamePeer(a: Peer, b: PresentPeer): boolean {
  return (
    a.device === b.device &&
    a.publicKey === b.publicKey &&
    a.keepaliveSeconds === b.keepaliveSeconds &&
    (a.hasPresharedKey === b.hasPresharedKey || b.live) &&
    areSame(a.allowedIps, b.allowedIps, Object.is)
  );
}

function ownersOf(peers: readonly Peer[]): ReadonlyMap<string, Peer> {
  const owners = new Map<string, Peer>();
  for (const peer of peers) {
    for (const prefix of peer.allowedIps) {
      const slot = slotKey(peer.device, prefix);
      if (!owners.has(slot)) owners.set(slot, peer);
    }
  }
  return owners;
}

function addPeer(peer: Peer, allowedIps: readonly string[]): Change {
  const { device, publicKey, presharedKey, endpoints, keepaliveSeconds } = peer;
  const best = endpoints[0];
  return {
    kind: "add-peer",
    device,
    publicKey,
    ...(presharedKey && { presharedKey }),
    // A name is resolved by the endpoint rule, which then writes the address.
    ...(best !== undefined && isNumericEndpoint(best) && { endpoint: best }),
    keepaliveSeconds,
    allowedIps,
  };
}

function update(peer: Peer, current: PresentPeer, missing: readonly string[]): Planned[] {
  const { device, publicKey, keepaliveSeconds, presharedKey } = peer;
  const changes: Change[] = [];
  if (missing.length > 0) changes.push({ kind: "add-allowed-ips", device, publicKey, allowedIps: missing });
  if (peer.hasPresharedKey !== current.hasPresharedKey && !current.live) {
    changes.push({ kind: "set-preshared-key", device, publicKey, presharedKey });
  }
  if (keepaliveSeconds !== current.keepaliveSeconds) {
    changes.push({ kind: "set-keepalive", device, publicKey, keepaliveSeconds });
  }
  return changes.map((change) => ({ step: "peer", change }));
}

function peerKey({ device, publicKey }: Pick<Peer, "device" | "publicKey">): string {
  return `${device} ${publicKey}`;
}

function slotKey(device: string, prefix: string): string {
  return `${device} ${prefix}`;
}

function without(items: readonly string[], excluded: readonly string[]): readonly string[] {
  const skip = new Set(excluded);
  return items.filter((item) => !skip.has(item));
}
