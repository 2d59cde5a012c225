/** @module Who may call which method of the hub: one table. Each method has an entry: the compiler asks for a new one's. */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { FleetService } from "@spanwire/proto/fleet";
import { RegistrationService } from "@spanwire/proto/registration";
import type { Interceptor } from "@spanwire/runtime/grpc/interceptor";
import type { AuditedCalls } from "../audit/audited-calls.ts";
import { OPERATOR_ROLES, type OperatorRole } from "../authority/spiffe-id.ts";
import type { FindOperator } from "../operators/find-operator.ts";
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
  setDraining: "operator",
  deleteCluster: "operator",
  inviteCluster: "operator",
  withdrawInvite: "operator",
  listInvites: "viewer",
  watchAcknowledgements: "viewer",
  getLinkPolicy: "viewer",
  setLinkPolicy: "operator",
  rotate: "operator",
  abortRotation: "operator",
  getRotation: "viewer",
  getStatus: "viewer",
  watchStatus: "viewer",
  createOperator: "admin",
  listOperators: "viewer",
  revokeOperator: "admin",
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

export interface AuthorizeOptions {
  readonly meshId: string;
  readonly findOperator: FindOperator;
  readonly calls: Pick<AuditedCalls, "of">;
}

/**
 * Refuses before the request is decoded: `OPERATOR_REQUIRED` to who is no operator, `ROLE_REQUIRED` to one whose role is
 * too small. A method without an entry is refused to everybody. A call ends when its caller is revoked meanwhile.
 */
export function authorize({ meshId, findOperator, calls }: AuthorizeOptions): Interceptor {
  return async ({ method, context, end }, next) => {
    const needed = ACCESS.get(methodName(method));
    if (needed === "anybody") return next();
    const caller = await findOperator({ context });
    if (needed === undefined || caller === undefined) {
      throw refusal("OPERATOR_REQUIRED", `${method.name}: needs an operator of mesh "${meshId}"`);
    }
    const { name, role } = caller;
    calls.of(context).about({ actor: { kind: "operator", name, role } });
    if (OPERATOR_ROLES.indexOf(role) < OPERATOR_ROLES.indexOf(needed)) {
      const message = `${method.name}: needs the role ${needed}, "${name}" is ${role}; an admin can give it with: spanwire operator create`;
      throw refusal("ROLE_REQUIRED", message);
    }
    const stop = caller.onRevoked(() => end(refusal("OPERATOR_REVOKED", `${method.name}: your access has ended`)));
    try {
      await next();
    } finally {
      stop();
    }
  };
}
