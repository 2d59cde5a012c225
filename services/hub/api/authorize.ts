/** @module Who may call which method of the hub: one table. Each method has an entry: the compiler asks for a new one's. */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { FleetService } from "@spanwire/proto/fleet";
import { RegistrationService } from "@spanwire/proto/registration";
import type { PeerCertificate } from "@spanwire/runtime/grpc/context";
import type { Interceptor } from "@spanwire/runtime/grpc/interceptor";
import { OPERATOR_ROLES, type OperatorRole, parseSpiffeId } from "../authority/spiffe-id.ts";
import { refusal } from "../refusal.ts";

/** The least role that may call a method; anybody may call what proves itself inside. */
export type Access = "anybody" | OperatorRole;

type Entries<S extends DescService> = Readonly<Record<keyof S["method"], Access>>;

const REGISTRATION: Entries<typeof RegistrationService> = {
  challenge: "anybody",
  register: "anybody",
  renew: "anybody",
  leave: "anybody",
};

const FLEET: Entries<typeof FleetService> = {
  getVersion: "viewer",
  createToken: "operator",
  listTokens: "viewer",
  revokeToken: "operator",
  listClusters: "viewer",
  getCluster: "viewer",
  updateCluster: "operator",
  revokeCluster: "operator",
  revokeGateway: "operator",
  deleteCluster: "operator",
  watchAcknowledgements: "viewer",
  getLinkPolicy: "viewer",
  setLinkPolicy: "operator",
  rotate: "operator",
  abortRotation: "operator",
  getRotation: "viewer",
  getStatus: "viewer",
  watchStatus: "viewer",
  createOperator: "admin",
  readAudit: "viewer",
  getMap: "viewer",
  exportState: "admin",
};

/** By `methodName`. */
export const ACCESS: ReadonlyMap<string, Access> = new Map([
  ...entriesOf(RegistrationService, REGISTRATION),
  ...entriesOf(FleetService, FLEET),
]);

/** `spanwire.v1.FleetService/GetStatus`. */
export function methodName({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

function entriesOf(service: DescService, entries: Readonly<Record<string, Access>>): [string, Access][] {
  return service.methods.flatMap((method) => {
    const access = entries[method.localName];
    return access === undefined ? [] : [[methodName(method), access]];
  });
}

/** The operator that a certificate names; undefined for a gateway's, which the same CA has issued, and another mesh's. */
export function operatorOf(certificate: PeerCertificate | undefined, meshId: string) {
  const name = certificate?.spiffeId === undefined ? undefined : parseSpiffeId(certificate.spiffeId);
  return name?.kind === "operator" && name.meshId === meshId ? name : undefined;
}

/**
 * Refuses before the request is decoded: `OPERATOR_REQUIRED` to who is no operator, `ROLE_REQUIRED` to one whose role is
 * too small. A method without an entry is refused to everybody.
 */
export function authorize(meshId: string): Interceptor {
  return async ({ method, context }, next) => {
    const needed = ACCESS.get(methodName(method));
    if (needed === "anybody") return next();
    const caller = operatorOf(context.peer.certificate, meshId);
    if (needed === undefined || caller === undefined) {
      throw refusal("OPERATOR_REQUIRED", `${method.name}: needs the certificate of an operator of mesh "${meshId}"`);
    }
    if (OPERATOR_ROLES.indexOf(caller.role) < OPERATOR_ROLES.indexOf(needed)) {
      const message = `${method.name}: needs the role ${needed}, "${caller.name}" is ${caller.role}; an admin can give it with: spanwire operator create`;
      throw refusal("ROLE_REQUIRED", message);
    }
    return next();
  };
}
