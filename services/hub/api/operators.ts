/** @module Operators for operators: certified, listed, revoked. Whoever asks keeps the private key. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type FleetService, OperatorRole, type OperatorSchema } from "@spanwire/proto/fleet";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import { requireP256 } from "../authority/requested-key.ts";
import type { OperatorRole as Role } from "../authority/spiffe-id.ts";
import { type OperatorRecord, serialOf } from "../operators/operator-record.ts";
import { listOperators, recordOperator, revokeOperators } from "../operators/operator-registry.ts";
import type { FleetOptions } from "./fleet-service.ts";

const DEFAULT_TTL_MS = 30 * 86_400_000;

export function operatorHandlers({
  ca,
  store: { registry },
  clock,
  audit,
}: FleetOptions): Pick<Handlers<typeof FleetService>, "createOperator" | "listOperators" | "revokeOperator"> {
  return {
    async createOperator({ name, role: wanted, publicKey: publicKeySpki, certificateRequest: request, ttl }, context) {
      const call = audit.calls.of(context);
      const target = `operator.${name}`;
      call.about({ target });
      requireP256(publicKeySpki);
      const nowMs = clock.now();
      const lifetimeMs = ttl === undefined ? DEFAULT_TTL_MS : durationMs(ttl);
      const role = roleOf(wanted);
      const certificatePem = await ca.certifyOperator({ name, role, nowMs, lifetimeMs, publicKeySpki, request });
      const expiresAtMs = nowMs + lifetimeMs;
      const serial = serialOf(certificatePem);
      await recordOperator(registry, { name, role, serial, createdAtMs: nowMs, expiresAtMs });
      const after = JSON.stringify({ role, serial, expiresAt: new Date(expiresAtMs).toISOString() });
      call.changed({ action: "operator.create", target, after });
      return { certificatePem, expiresAt: timestampFromMs(expiresAtMs) };
    },
    async listOperators() {
      return { operators: (await listOperators(registry)).map(describeOperator) };
    },
    async revokeOperator({ name, serial, reason: message }, context) {
      const call = audit.calls.of(context);
      call.about({ target: name === "" ? `operator.${serial}` : `operator.${name}` });
      const revoked = await revokeOperators(registry, name === "" ? { serial } : { name }, clock.now());
      for (const each of revoked.operators.filter((operator) => revoked.serials.includes(operator.serial))) {
        const before = JSON.stringify({ role: each.role, serial: each.serial });
        call.changed({ action: "operator.revoke", target: `operator.${each.name}`, message, before });
      }
      return { operators: revoked.operators.map(describeOperator) };
    },
  };
}

function describeOperator(operator: OperatorRecord): MessageInitShape<typeof OperatorSchema> {
  const { name, role, serial, createdAtMs, expiresAtMs, revokedAtMs } = operator;
  return {
    name,
    role: ROLES[role],
    serial,
    createdAt: timestampFromMs(createdAtMs),
    expiresAt: timestampFromMs(expiresAtMs),
    ...(revokedAtMs !== undefined && { revokedAt: timestampFromMs(revokedAtMs) }),
  };
}

const ROLES = { viewer: OperatorRole.VIEWER, operator: OperatorRole.OPERATOR, admin: OperatorRole.ADMIN } as const;

function roleOf(role: OperatorRole): Role {
  switch (role) {
    case OperatorRole.VIEWER:
      return "viewer";
    case OperatorRole.OPERATOR:
      return "operator";
    case OperatorRole.ADMIN:
      return "admin";
    default:
      throw new TypeError("a request without a role was let through");
  }
}
