/** @module Gateways that operators have drain. */
import { setDraining } from "@spanwire/core/admission/drain";
import { gatewayKey } from "@spanwire/core/records/key";
import type { FleetService } from "@spanwire/proto/fleet";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import { accept } from "../refusal.ts";
import { describeCluster } from "../status/describe-mesh.ts";
import type { FleetOptions } from "./fleet-service.ts";
import { meshFacts } from "./mesh-facts.ts";

export function drainingHandlers(options: FleetOptions): Pick<Handlers<typeof FleetService>, "setDraining"> {
  const { writer, audit } = options;
  return {
    async setDraining({ clusterId, ordinal, draining }, context) {
      const call = audit.calls.of(context);
      const target = gatewayKey(clusterId, ordinal);
      call.about({ target });
      const { value } = await writer.commit(async (registry) => {
        const decided = accept(setDraining(registry, { clusterId, ordinal, draining }));
        return { value: decided, write: decided.changed ? decided : undefined };
      }, context.signal);
      if (value.changed) call.changed({ action: draining ? "gateway.drain" : "gateway.resume", target });
      return { cluster: describeCluster(meshFacts(options), value.admission) };
    },
  };
}
