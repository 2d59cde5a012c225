/** @module Operators for operators: whoever asks keeps the private key, and the hub certifies the public one. */
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type FleetService, OperatorRole } from "@spanwire/proto/fleet";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import { requireP256 } from "../authority/requested-key.ts";
import type { OperatorRole as Role } from "../authority/spiffe-id.ts";
import type { FleetOptions } from "./fleet-service.ts";

const DEFAULT_TTL_MS = 30 * 86_400_000;
export function operatorHandlers({
  ca,
  clock,
  audit,
}: FleetOptions): Pick<Handlers<typeof FleetService>, "createOperator"> {
  return {
    async createOperator({ name, role, publicKey: publicKeySpki, certificateRequest: request, ttl }, context) {
      const call = audit.calls.of(context);
      const target = `operator.${name}`;
      call.about({ target });
      requireP256(publicKeySpki);
      const nowMs = clock.now();
      const lifetimeMs = ttl === undefined ? DEFAULT_TTL_MS : durationMs(ttl);
      const key = { publicKeySpki, request };
      const certificatePem = await ca.certifyOperator({ name, role: roleOf(role), nowMs, lifetimeMs, ...key });
      const expiresAt = timestampFromMs(nowMs + lifetimeMs);
      const after = JSON.stringify({ role: roleOf(role), expiresAt: new Date(nowMs + lifetimeMs).toISOString() });
      call.changed({ action: "operator.create", target, after });
      return { certificatePem, expiresAt };
    },
  };
}

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
