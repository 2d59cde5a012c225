/** @module The names in certificates: who a TLS client is. */

export type SpiffeId =
  | { readonly kind: "gateway"; readonly meshId: string; readonly clusterId: string; readonly ordinal: number }
  | { readonly kind: "operator"; readonly meshId: string; readonly name: string };

/** `spiffe://<mesh>/cluster/<id>/gateway/<ordinal>` or `spiffe://<mesh>/operator/<name>`. */
export function formatSpiffeId(id: SpiffeId): string {
  const path = id.kind === "gateway" ? `cluster/${id.clusterId}/gateway/${id.ordinal}` : `operator/${id.name}`;
  return `spiffe://${id.meshId}/${path}`;
}

/** Undefined for what this hub's CA would not have issued. */
export function parseSpiffeId(uri: string): SpiffeId | undefined {
  const [, meshId = "", path = ""] = /^spiffe:\/\/([a-z0-9-]+)\/(.+)$/.exec(uri) ?? [];
  const [, clusterId = "", ordinal = ""] = /^cluster\/([a-z0-9-]+)\/gateway\/(\d{1,2})$/.exec(path) ?? [];
  if (clusterId !== "") return { kind: "gateway", meshId, clusterId, ordinal: Number(ordinal) };
  const [, name = ""] = /^operator\/([a-z0-9-]+)$/.exec(path) ?? [];
  return name === "" ? undefined : { kind: "operator", meshId, name };
}
