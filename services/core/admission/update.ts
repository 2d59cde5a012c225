/** @module The decision on UpdateCluster: prefixes and labels in place of what they are. */
import { create } from "@bufbuild/protobuf";
import { type Admission, AdmissionSchema } from "@spanwire/proto/record";
import { clusterKey } from "../records/key.ts";
import type { Order } from "../records/order.ts";
import { nextClusterOrder } from "./incarnation.ts";
import { type Labels, sameLabels } from "./labels.ts";
import { judgePrefixes } from "./prefixes.ts";
import { type Refused, refuse } from "./refusal.ts";
import type { Registry } from "./registry.ts";

export interface ClusterChange {
  readonly clusterId: string;
  readonly prefixes: readonly string[];
  readonly labels: Labels;
  /** The generation the change was made from; undefined writes over any. */
  readonly expectedGeneration: bigint | undefined;
}

export interface Updated {
  readonly ok: true;
  readonly admission: Admission;
  readonly order: Order;
  /** False when it is so already, and nothing need be written. */
  readonly changed: boolean;
}

export function updateCluster(registry: Registry, change: ClusterChange): Updated | Refused {
  const { clusterId, expectedGeneration, labels } = change;
  const known = registry.admissions.get(clusterId);
  const order = registry.orderOf(clusterKey(clusterId));
  if (known === undefined || order === undefined) {
    return refuse("CLUSTER_NOT_FOUND", `cluster "${clusterId}" is not admitted: see spanwire cluster list`);
  }
  if (expectedGeneration !== undefined && expectedGeneration !== order.generation) {
    const message = `cluster "${clusterId}" is at generation ${order.generation}, not ${expectedGeneration}: look at it again`;
    return refuse("GENERATION_CHANGED", message);
  }
  const judged = judgePrefixes(registry, clusterId, change.prefixes);
  if (!judged.ok) return judged;
  if (judged.prefixes.join() === known.prefixes.join() && sameLabels(labels, known.labels)) {
    return { ok: true, admission: known, order, changed: false };
  }
  const admission = create(AdmissionSchema, { ...known, prefixes: [...judged.prefixes], labels: { ...labels } });
  return { ok: true, admission, order: nextClusterOrder(registry, clusterId), changed: true };
}
