/** @module The NATS users of gateways, made by the operator and ended by the bans. */
import type { Clock } from "@spanwire/core/time";
import type { GatewayUsers } from "../registration/gateway-users.ts";
import type { RegistryBucket } from "../state/port.ts";
import { type Bans, isBannedInStore } from "./ban-users.ts";
import type { NatsOperator } from "./operator.ts";

export interface GatewayUserOptions {
  readonly operator: NatsOperator;
  readonly bans: Bans;
  readonly registry: RegistryBucket;
  readonly clock: Clock;
}

export function createNatsGatewayUsers({ operator, bans, registry, clock }: GatewayUserOptions): GatewayUsers {
  return {
    issue: ({ nkey, ...gateway }, expiresAtMs) =>
      operator.agentUserJwt(gateway, { nkey, nowMs: clock.now(), expiresAtMs }),
    isBanned: (nkey) => isBannedInStore(registry, nkey),
    ban: (nkey) => bans.ban(nkey),
  };
}
