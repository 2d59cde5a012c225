/** @module Reads what the kernel holds of ours. */
import type { Kernel, ObservedFirewall, ObservedNetwork, ObservedWireGuard } from "../kernel/port.ts";

export interface Observed {
  readonly network: ObservedNetwork;
  /** WireGuard devices by name, with their peers. */
  readonly devices: ReadonlyMap<string, ObservedWireGuard>;
  readonly firewall: ObservedFirewall;
}

/** Reads everything; a device that goes away meanwhile is left out. */
export async function observe(kernel: Kernel): Promise<Observed> {
  const [network, firewall] = await Promise.all([kernel.network.observe(), kernel.firewall.observe()]);
  const lanes = network.links.filter(({ kind }) => kind === "wireguard");
  const devices = await Promise.all(lanes.map(({ name }) => kernel.wireguard.observe(name)));
  return {
    network,
    devices: new Map(devices.filter((device) => device !== undefined).map((device) => [device.name, device])),
    firewall,
  };
}

/**
 * Reads which of these public keys are peers of any lane: what an acknowledged removal is shown by. A key that is not
 * in the answer was in no dump made after the call.
 */
export async function observePeers(kernel: Kernel, publicKeys: Iterable<string>): Promise<ReadonlySet<string>> {
  const { links } = await kernel.network.observe();
  const lanes = links.filter(({ kind }) => kind === "wireguard");
  const devices = await Promise.all(lanes.map(({ name }) => kernel.wireguard.observe(name)));
  const present = new Set(devices.flatMap((device) => device?.peers.map(({ publicKey }) => publicKey) ?? []));
  return present.intersection(new Set(publicKeys));
}
