/** @module Keys of records, as in the bucket `sw-map` and in the subjects `sw.v1.map.<key>`. */

export type RecordKey =
  | { readonly type: "mesh" }
  | { readonly type: "delegation" }
  | { readonly type: "cluster"; readonly clusterId: string }
  | { readonly type: "gateway"; readonly clusterId: string; readonly ordinal: number }
  | { readonly type: "policy.links" }
  | { readonly type: "epoch" }
  | { readonly type: "head" }
  | { readonly type: "applied"; readonly clusterId: string; readonly ordinal: number }
  /** A type of a later version: kept, forwarded and reported. */
  | { readonly type: "unknown"; readonly key: string };

export const MESH_KEY = "mesh";
export const DELEGATION_KEY = "delegation";
export const LINK_POLICY_KEY = "policy.links";
export const EPOCH_KEY = "epoch";
export const HEAD_KEY = "head";

const FIXED = new Set<string>([MESH_KEY, DELEGATION_KEY, LINK_POLICY_KEY, EPOCH_KEY, HEAD_KEY]);
const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const ORDINAL = /^(0|[1-9]|1[0-5])$/;

export function clusterKey(clusterId: string): string {
  return `cluster.${clusterId}`;
}

export function gatewayKey(clusterId: string, ordinal: number): string {
  return `gateway.${clusterId}.${ordinal}`;
}

export function appliedKey(clusterId: string, ordinal: number): string {
  return `applied.${clusterId}.${ordinal}`;
}

/** Never throws: what has no known form is of unknown type. */
export function parseKey(key: string): RecordKey {
  if (FIXED.has(key)) return { type: key as typeof MESH_KEY };
  const dot = key.indexOf(".");
  const type = key.slice(0, dot);
  if (type === "cluster") {
    const clusterId = key.slice(dot + 1);
    if (DNS_LABEL.test(clusterId)) return { type, clusterId };
  } else if (type === "gateway" || type === "applied") {
    const last = key.lastIndexOf(".");
    const [clusterId, ordinal] = [key.slice(dot + 1, last), key.slice(last + 1)];
    if (DNS_LABEL.test(clusterId) && ORDINAL.test(ordinal)) return { type, clusterId, ordinal: Number(ordinal) };
  }
  return { type: "unknown", key };
}
