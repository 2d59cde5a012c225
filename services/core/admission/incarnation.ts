/** @module How orders go on: with each new identity, with each change, and past the end. */

import { clusterKey, gatewayKey } from "../records/key.ts";
import type { Order } from "../records/order.ts";
import type { Registry } from "./registry.ts";

/** For a new identity of an ordinal: above everything that was ever admitted or stored there. */
export function nextGatewayIncarnation(registry: Registry, clusterId: string, ordinal: number): bigint {
  const stored = registry.orderOf(gatewayKey(clusterId, ordinal))?.incarnation ?? 0n;
  const gateways = registry.admissions.get(clusterId)?.gateways ?? [];
  const admitted = gateways.find((gateway) => gateway.ordinal === ordinal)?.incarnation ?? 0n;
  return (stored > admitted ? stored : admitted) + 1n;
}

/** For the next admission of a cluster: a change of a live one, or the first after its tombstone, or the first. */
export function nextClusterOrder(registry: Registry, clusterId: string): Order {
  const key = clusterKey(clusterId);
  const { incarnation, generation } = registry.orderOf(key) ?? { incarnation: 0n, generation: 0n };
  return registry.admissions.has(clusterId)
    ? { incarnation, generation: generation + 1n }
    : { incarnation: incarnation + 1n, generation: 1n };
}

/**
 * For a tombstone: above everything that the ended incarnation could ever have signed, so that a record which was
 * signed and never stored cannot come after it.
 */
export function tombstoneOrder(incarnation: bigint): Order {
  return { incarnation: incarnation + 1n, generation: 0n };
}
