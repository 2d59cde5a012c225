/** @module Who may call which method of FleetService. Each method has an entry: the compiler asks for a new one's. */
import type { FleetService } from "@spanwire/proto/fleet";
import type { PeerCertificate } from "@spanwire/runtime/grpc/context";
import type { Interceptor } from "@spanwire/runtime/grpc/interceptor";
import { parseSpiffeId } from "../authority/spiffe-id.ts";
import { refusal } from "../refusal.ts";

/** What a method does: looks, changes the mesh, or gives away what the hub keeps. */
export type Permission = "read" | "write" | "export";

export const PERMISSION_OF: Readonly<Record<keyof (typeof FleetService)["method"], Permission>> = {
  getVersion: "read",
  createToken: "write",
  listTokens: "read",
  revokeToken: "write",
  listClusters: "read",
  getCluster: "read",
  updateCluster: "write",
  revokeCluster: "write",
  revokeGateway: "write",
  deleteCluster: "write",
  watchAcknowledgements: "read",
  getLinkPolicy: "read",
  setLinkPolicy: "write",
  getStatus: "read",
  watchStatus: "read",
  getMap: "read",
  exportState: "export",
};

const EVERYTHING: ReadonlySet<Permission> = new Set(["read", "write", "export"]);
const NOTHING: ReadonlySet<Permission> = new Set();

/** An operator's certificate allows everything; a gateway's, which the same CA has issued, nothing. */
export function permissionsOf(certificate: PeerCertificate | undefined, meshId: string): ReadonlySet<Permission> {
  const name = certificate?.spiffeId === undefined ? undefined : parseSpiffeId(certificate.spiffeId);
  return name?.kind === "operator" && name.meshId === meshId ? EVERYTHING : NOTHING;
}

/** Refuses with `OPERATOR_REQUIRED`, before the request is decoded. A method without an entry is refused to everybody. */
export function authorizeOperators(meshId: string): Interceptor {
  const permissions = new Map<string, Permission>(Object.entries(PERMISSION_OF));
  return async ({ method, context }, next) => {
    const needed = permissions.get(method.localName);
    if (needed === undefined || !permissionsOf(context.peer.certificate, meshId).has(needed)) {
      throw refusal("OPERATOR_REQUIRED", `${method.name}: needs the certificate of an operator of mesh "${meshId}"`);
    }
    return next();
  };
}
