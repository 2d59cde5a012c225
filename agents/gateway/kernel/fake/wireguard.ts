/** @module The fake's WireGuard: allowed IPs belong to one peer of a device, and move to whoever is given them. */
import { wireGuardPublicKey } from "@spanwire/runtime/crypto/wireguard-key";
import type { DeviceChange, WireGuardChange } from "../change.ts";
import { kernelError } from "../kernel-error.ts";
import type { ObservedWireGuard } from "../port.ts";
import { removeLink } from "./network.ts";
import { addLink, type FakeDevice, type FakePeer, type FakeState } from "./state.ts";

export function observeDevice(state: FakeState, name: string): ObservedWireGuard | undefined {
  const device = state.links.get(name)?.device;
  if (device === undefined) return undefined;
  const peers = [...device.peers].map(([publicKey, peer]) => ({
    publicKey,
    hasPresharedKey: peer.presharedKey !== undefined,
    endpoint: peer.endpoint,
    keepaliveSeconds: peer.keepaliveSeconds,
    lastHandshakeMs: peer.lastHandshakeMs,
    rxBytes: peer.rxBytes,
    txBytes: peer.txBytes,
    allowedIps: [...peer.allowedIps].sort(),
  }));
  peers.sort((a, b) => (a.publicKey < b.publicKey ? -1 : 1));
  const { listenPort, fwmark, publicKey } = device;
  return { name, listenPort, fwmark, publicKey, peers };
}

export function applyWireGuardChange(state: FakeState, change: WireGuardChange): void {
  if (change.kind === "add-wireguard-link") addDevice(state, change);
  else if (change.kind === "remove-wireguard-link") removeLink(state, change.name);
  else {
    const device = state.links.get(change.device)?.device;
    if (device === undefined) throw kernelError(change, "ENODEV", "no such device");
    if (change.kind === "set-wireguard-device") setDevice(device, change);
    else if (change.kind === "add-peer") addPeer(device, change);
    else updatePeer(device, change);
  }
}

type PeerUpdate = Exclude<DeviceChange, { kind: "set-wireguard-device" | "add-peer" }>;

/** As the kernel: an update of a peer that is gone succeeds without effect. */
function updatePeer(device: FakeDevice, change: PeerUpdate): void {
  const peer = device.peers.get(change.publicKey);
  if (peer === undefined) return;
  switch (change.kind) {
    case "remove-peer":
      removePeer(device, change.publicKey);
      break;
    case "add-allowed-ips":
      claim(device, peer, change.allowedIps);
      break;
    case "remove-allowed-ips":
      for (const prefix of change.allowedIps) if (peer.allowedIps.delete(prefix)) device.owners.delete(prefix);
      break;
    case "set-endpoint":
      peer.endpoint = change.endpoint;
      break;
    case "set-keepalive":
      peer.keepaliveSeconds = change.keepaliveSeconds;
      break;
    case "set-preshared-key":
      peer.presharedKey = change.presharedKey;
      break;
    default:
      change satisfies never;
  }
}

function addDevice(state: FakeState, change: Extract<WireGuardChange, { kind: "add-wireguard-link" }>): void {
  const present = state.links.get(change.name);
  if (present?.kind === "wireguard") return;
  if (present !== undefined) throw kernelError(change, "EEXIST", "another device has this name");
  const device: FakeDevice = {
    publicKey: undefined,
    privateKey: undefined,
    listenPort: 0,
    fwmark: 0,
    peers: new Map(),
    owners: new Map(),
  };
  addLink(state, { kind: "wireguard", name: change.name, mtuBytes: change.mtuBytes, device });
}

function setDevice(device: FakeDevice, change: Extract<WireGuardChange, { kind: "set-wireguard-device" }>): void {
  if (change.privateKey !== undefined) {
    device.privateKey = change.privateKey;
    device.publicKey = wireGuardPublicKey(change.privateKey);
    removePeer(device, device.publicKey);
  }
  if (change.listenPort !== undefined) device.listenPort = change.listenPort;
  if (change.fwmark !== undefined) device.fwmark = change.fwmark;
}

function addPeer(device: FakeDevice, change: Extract<WireGuardChange, { kind: "add-peer" }>): void {
  if (change.publicKey === device.publicKey) return; // as the kernel: nobody is a peer of itself
  const peer = device.peers.get(change.publicKey) ?? newPeer();
  device.peers.set(change.publicKey, peer);
  if (change.presharedKey !== undefined) peer.presharedKey = change.presharedKey;
  if (change.endpoint !== undefined) peer.endpoint = change.endpoint;
  peer.keepaliveSeconds = change.keepaliveSeconds;
  claim(device, peer, change.allowedIps);
}

function claim(device: FakeDevice, owner: FakePeer, prefixes: readonly string[]): void {
  for (const prefix of prefixes) {
    device.owners.get(prefix)?.allowedIps.delete(prefix);
    device.owners.set(prefix, owner);
    owner.allowedIps.add(prefix);
  }
}

function removePeer(device: FakeDevice, publicKey: string): void {
  for (const prefix of device.peers.get(publicKey)?.allowedIps ?? []) device.owners.delete(prefix);
  device.peers.delete(publicKey);
}

function newPeer(): FakePeer {
  return {
    presharedKey: undefined,
    endpoint: undefined,
    keepaliveSeconds: 0,
    lastHandshakeMs: undefined,
    rxBytes: 0,
    txBytes: 0,
    allowedIps: new Set(),
  };
}
