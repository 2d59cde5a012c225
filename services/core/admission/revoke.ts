/** @module What ends when a gateway leaves or is revoked, and when a cluster is revoked or deleted. */
import { create } from "@bufbuild/protobuf";
import { type Admission, AdmissionSchema } from "@spanwire/proto/record";
import { MAX_ORDINALS } from "../address/overlay.ts";
import { clusterKey, gatewayKey } from "../records/key.ts";
import type { Order } from "../records/order.ts";
import { nextClusterOrder, tombstoneOrder } from "./incarnation.ts";
import { type Refused, refuse } from "./refusal.ts";
import type { Registry } from "./registry.ts";

/**
 * The records to write: tombstones in their order, then the admission, so that a crash between two writes leaves
 * nothing whose orders could start again. Safe to decide again after one: what is done is left out.
 */
export interface Ending {
  readonly ok: true;
  readonly tombstones: readonly Tombstoned[];
  /** The admission without the ended gateways; undefined when it ends itself, or need not change. */
  readonly admission: { readonly admission: Admission; readonly order: Order } | undefined;
  /** NATS users to revoke and ban for ever. */
  readonly nkeys: readonly string[];
}

export interface Tombstoned {
  readonly key: string;
  readonly order: Order;
}

/** Ends one gateway, by its own wish or an operator's. Its cluster stays, with its prefixes, even without gateways. */
export function revokeGateway(registry: Registry, clusterId: string, ordinal: number): Ending | Refused {
  return (
    endGateways(registry, clusterId, [ordinal]) ??
    refuse(
      "GATEWAY_NOT_FOUND",
      `gateway ${clusterId}.${ordinal} does not exist: see spanwire cluster show ${clusterId}`,
    )
  );
}

/**
 * Ends every gateway of a cluster; its id, prefixes and overlay block stay reserved. With `mustWrite` its admission is
 * written even if it had none: a registration that is under way is then decided anew, by what lets it in now.
 */
export function revokeCluster(
  registry: Registry,
  clusterId: string,
  { mustWrite = false }: { readonly mustWrite?: boolean } = {},
): Ending | Refused {
  const known = registry.admissions.get(clusterId);
  if (known === undefined) return notFound(clusterId);
  const none = { ok: true, tombstones: [], admission: undefined, nkeys: [] } as const;
  const ending = endGateways(registry, clusterId, ALL_ORDINALS) ?? none;
  if (ending.admission !== undefined || !mustWrite) return ending;
  return { ...ending, admission: withoutGateways(registry, known, []) };
}

/** Ends a cluster and frees its id, prefixes and overlay block; whoever takes the id later goes on above its orders. */
export function deleteCluster(registry: Registry, clusterId: string): Ending | Refused {
  const key = clusterKey(clusterId);
  const order = registry.orderOf(key);
  const gateways = endGateways(registry, clusterId, ALL_ORDINALS);
  const isLive = registry.admissions.has(clusterId) && order !== undefined;
  if (!isLive && gateways === undefined) return notFound(clusterId);
  const tombstones = isLive ? [{ key, order: tombstoneOrder(order.incarnation) }] : [];
  return {
    ok: true,
    tombstones: [...(gateways?.tombstones ?? []), ...tombstones],
    admission: undefined,
    nkeys: gateways?.nkeys ?? [],
  };
}

const ALL_ORDINALS = Array.from({ length: MAX_ORDINALS }, (_, ordinal) => ordinal);

/** Undefined when nothing of them is left to end. */
function endGateways(registry: Registry, clusterId: string, ordinals: readonly number[]): Ending | undefined {
  const known = registry.admissions.get(clusterId);
  const leaving = known?.gateways.filter(({ ordinal }) => ordinals.includes(ordinal)) ?? [];
  const tombstones = ordinals.flatMap((ordinal) => {
    const admitted = leaving.find((gateway) => gateway.ordinal === ordinal);
    return findTombstone(registry, gatewayKey(clusterId, ordinal), admitted?.incarnation) ?? [];
  });
  if (tombstones.length === 0 && leaving.length === 0) return undefined;
  return {
    ok: true,
    tombstones,
    admission: known && leaving.length > 0 ? withoutGateways(registry, known, ordinals) : undefined,
    nkeys: leaving.map(({ nkey }) => nkey),
  };
}

/** Undefined when nothing was ever admitted or stored under the key, or all of it is ended. */
function findTombstone(registry: Registry, key: string, admitted = 0n): Tombstoned | undefined {
  const stored = registry.orderOf(key)?.incarnation ?? 0n;
  const last = stored > admitted ? stored : admitted;
  const isDone = last === 0n || (registry.isEnded(key) && stored > admitted);
  return isDone ? undefined : { key, order: tombstoneOrder(last) };
}

function withoutGateways(registry: Registry, known: Admission, ordinals: readonly number[]): Ending["admission"] {
  const gateways = known.gateways.filter(({ ordinal }) => !ordinals.includes(ordinal));
  const admission = create(AdmissionSchema, { ...known, gateways });
  return { admission, order: nextClusterOrder(registry, known.clusterId) };
}

function notFound(clusterId: string): Refused {
  return refuse("CLUSTER_NOT_FOUND", `cluster "${clusterId}" is not admitted: see spanwire cluster list`);
}
