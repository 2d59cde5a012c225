/** @module The names in certificates: who a TLS client is. */

export type SpiffeId =
  | { readonly kind: "gateway"; readonly meshId: string; readonly clusterId: string; readonly ordinal: number }
  | { readonly kind: "operator"; readonly meshId: string; readonly role: OperatorRole; readonly name: string };

/** From the least to the most; each may all that the one before may. */
export const OPERATOR_ROLES = ["viewer", "operator", "admin"] as const;
export type OperatorRole = (typeof OPERATOR_ROLES)[number];

/** `spiffe://<mesh>/cluster/<id>/gateway/<ordinal>` or `spiffe://<mesh>/operator/<role>/<name>`. */
export function formatSpiffeId(id: SpiffeId): string {
  const path =
    id.kind === "gateway" ? `cluster/${id.clusterId}/gateway/${id.ordinal}` : `operator/${id.role}/${id.name}`;
  return `spiffe://${id.meshId}/${path}`;
}

/** Undefined for what this hub's CA would not have issued. */
export function parseSpiffeId(uri: string): SpiffeId | undefined {
  const [, meshId = "", path = ""] = /^spiffe:\/\/([a-z0-9-]+)\/(.+)$/.exec(uri) ?? [];
  const [, clusterId = "", ordinal = ""] = /^cluster\/([a-z0-9-]+)\/gateway\/(\d{1,2})$/.exec(path) ?? [];
  if (clusterId !== "") return { kind: "gateway", meshId, clusterId, ordinal: Number(ordinal) };
  const [, said, name = ""] = /^operator\/([a-z]+)\/([a-z0-9-]+)$/.exec(path) ?? [];
  const role = OPERATOR_ROLES.find((each) => each === said);
  return role === undefined ? undefined : { kind: "operator", meshId, role, name };
}
