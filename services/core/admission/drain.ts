/** @module The decision on SetDraining: whether an operator wants a gateway to drain. */
import { create } from "@bufbuild/protobuf";
import { AdmissionSchema } from "@spanwire/proto/record";
import { clusterKey } from "../records/key.ts";
import { nextClusterOrder } from "./incarnation.ts";
import { type Refused, refuse } from "./refusal.ts";
import type { Registry } from "./registry.ts";
import type { Updated } from "./update.ts";

export interface DrainChange {
  readonly clusterId: string;
  readonly ordinal: number;
  readonly draining: boolean;
}

export function setDraining(registry: Registry, { clusterId, ordinal, draining }: DrainChange): Updated | Refused {
  const known = registry.admissions.get(clusterId);
  const order = registry.orderOf(clusterKey(clusterId));
  const gateway = known?.gateways.find((each) => each.ordinal === ordinal);
  if (known === undefined || order === undefined || gateway === undefined) {
    const message = `gateway ${clusterId}.${ordinal} does not exist: see spanwire cluster list`;
    return refuse("GATEWAY_NOT_FOUND", message);
  }
  if (gateway.draining === draining) return { ok: true, admission: known, order, changed: false };
  const gateways = known.gateways.map((each) => (each === gateway ? { ...each, draining } : each));
  const admission = create(AdmissionSchema, { ...known, gateways });
  return { ok: true, admission, order: nextClusterOrder(registry, clusterId), changed: true };
}
