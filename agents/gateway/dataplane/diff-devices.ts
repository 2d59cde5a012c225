/** @module Devices with their settings and addresses: made whole, one after the other, and up only when complete. */
import type { Address, DeviceSettings, KernelState, Link, WireGuardLink } from "@spanwire/core/desired/state";
import { type Change, removeLink } from "../kernel/change.ts";
import type { ObservedLink, ObservedWireGuard } from "../kernel/port.ts";
import type { Observed } from "./observe.ts";
import type { Planned } from "./step.ts";

export type DeviceWish = Pick<KernelState, "links" | "settings" | "addresses">;

/**
 * Plans what turns the observed devices into the wanted ones. A device of ours that nobody wants goes, except the one
 * with the stable address; one that stands in the way of ours and is none that we would make stays, and nothing is
 * done to it. The stable address stays until another one takes its place.
 */
export function diffDevices(wanted: DeviceWish, observed: Observed): Planned[] {
  const present = new Map(observed.network.links.map((link) => [link.name, link]));
  const planned: Planned[] = [];
  for (const link of dummiesFirst(wanted.links)) {
    const current = present.get(link.name);
    if (current !== undefined && current.kind !== link.kind) continue;
    for (const change of bringUp(link, current, wanted, observed)) planned.push({ step: "device", change });
  }
  const names = new Set(wanted.links.map(({ name }) => name));
  for (const link of observed.network.links) {
    if (names.has(link.name) || link.kind !== "wireguard") continue;
    planned.push({ step: "remove-device", change: removeLink(link) });
  }
  planned.push(...removedAddresses(wanted, observed));
  return planned;
}

/** In the order in which the kernel takes them: settings and port before the device is up. */
function bringUp(link: Link, current: ObservedLink | undefined, wanted: DeviceWish, observed: Observed): Change[] {
  const { name, mtuBytes } = link;
  const settings = wanted.settings.find(({ device }) => device === name);
  const currentSettings = observed.network.settings.find(({ device }) => device === name);
  const addresses = observed.network.addresses.filter(({ device }) => device === name);
  const isUp = current?.up === true;
  const changes: (Change | false)[] = [
    current === undefined && {
      kind: link.kind === "dummy" ? "add-dummy-link" : "add-wireguard-link",
      name,
      mtuBytes,
    },
    link.kind === "wireguard" && setDevice(link, observed.devices.get(name)),
    current !== undefined && current.mtuBytes !== mtuBytes && { kind: "set-link", name, mtuBytes },
    settings !== undefined && !isSameSettings(settings, currentSettings) && { kind: "set-settings", settings },
    ...wanted.addresses
      .filter((address) => address.device === name && !addresses.some((other) => isSameAddress(address, other)))
      .map((address): Change => ({ kind: "add-address", address })),
    !isUp && { kind: "set-link", name, up: true },
  ];
  return changes.filter((change) => change !== false);
}

/** Compares the private key by its public half, which is all that the kernel's answer keeps of it. */
function setDevice(link: WireGuardLink, current: ObservedWireGuard | undefined): Change | false {
  const { name, privateKey, publicKey, listenPort, fwmark } = link;
  const isOtherKey = privateKey !== undefined && current?.publicKey !== publicKey;
  const isOtherPort = current?.listenPort !== listenPort;
  const isOtherMark = current?.fwmark !== fwmark;
  if (!isOtherKey && !isOtherPort && !isOtherMark) return false;
  return {
    kind: "set-wireguard-device",
    device: name,
    ...(isOtherKey && { privateKey }),
    ...(isOtherPort && { listenPort }),
    ...(isOtherMark && { fwmark }),
  };
}

function removedAddresses({ links, addresses }: DeviceWish, { network }: Observed): Planned[] {
  const wantedKinds = new Map(links.map(({ name, kind }) => [name, kind]));
  return network.addresses
    .filter((address) => {
      const kind = wantedKinds.get(address.device);
      if (kind === undefined) return false; // goes with its device
      if (network.links.find(({ name }) => name === address.device)?.kind !== kind) return false;
      if (addresses.some((other) => isSameAddress(address, other))) return false;
      return kind !== "dummy" || addresses.some((other) => isSuccessor(other, address));
    })
    .map((address) => ({ step: "remove-address", change: { kind: "remove-address", address } }));
}

function dummiesFirst(links: readonly Link[]): readonly Link[] {
  return [...links.filter(({ kind }) => kind === "dummy"), ...links.filter(({ kind }) => kind !== "dummy")];
}

function isSameSettings(a: DeviceSettings, b: DeviceSettings | undefined): boolean {
  return a.rpFilter === b?.rpFilter && a.forwarding === b.forwarding;
}

function isSameAddress(a: Address, b: Address): boolean {
  return a.device === b.device && a.address === b.address;
}

function isSuccessor(a: Address, b: Address): boolean {
  return a.device === b.device && a.address.includes(":") === b.address.includes(":");
}
