/** @module Clusters for operators: shown, changed, revoked, deleted. */
import { deleteCluster, revokeCluster, revokeGateway } from "@spanwire/core/admission/revoke";
import { updateCluster } from "@spanwire/core/admission/update";
import type { FleetService } from "@spanwire/proto/fleet";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import { accept, refusal } from "../refusal.ts";
import { type EndRequest, endGateways } from "../registration/end-gateways.ts";
import { revokeUnusedTokens } from "../registration/tokens.ts";
import { describeCluster, describeClusters } from "../status/describe-mesh.ts";
import type { EndedRecord } from "../status/gateway-report.ts";
import type { FleetOptions } from "./fleet-service.ts";
import { meshFacts } from "./mesh-facts.ts";

type ClusterMethods =
  | "listClusters"
  | "getCluster"
  | "updateCluster"
  | "revokeCluster"
  | "revokeGateway"
  | "deleteCluster";

export function clusterHandlers(options: FleetOptions): Pick<Handlers<typeof FleetService>, ClusterMethods> {
  const { store, writer, clock } = options;
  return {
    async listClusters() {
      writer.registry();
      return { clusters: describeClusters(meshFacts(options)) };
    },
    async getCluster({ id }) {
      const admission = writer.registry().admissions.get(id);
      if (admission === undefined) {
        throw refusal("CLUSTER_NOT_FOUND", `cluster "${id}" is not admitted: see spanwire cluster list`);
      }
      return { cluster: describeCluster(meshFacts(options), admission) };
    },
    async updateCluster({ id: clusterId, prefixes, labels, expectedGeneration, dryRun }, { signal }) {
      const change = { clusterId, prefixes, labels, expectedGeneration };
      const { value } = await writer.commit(async (registry) => {
        const updated = accept(updateCluster(registry, change));
        return { value: updated, write: updated.changed && !dryRun ? updated : undefined };
      }, signal);
      return { cluster: describeCluster(meshFacts(options), value.admission) };
    },
    async revokeGateway({ clusterId, ordinal, reason }, { signal }) {
      const decide: EndRequest["decide"] = (registry) => revokeGateway(registry, clusterId, ordinal);
      return { ended: own(await endGateways(options, { clusterId, decide, reason, signal })) };
    },
    async revokeCluster({ id: clusterId, reason }, { signal }) {
      const decide: EndRequest["decide"] = (registry) => revokeCluster(registry, clusterId);
      accept(decide(writer.registry()));
      await revokeUnusedTokens(store.registry, clusterId, clock.now());
      return { ended: own(await endGateways(options, { clusterId, decide, reason, signal })) };
    },
    async deleteCluster({ id: clusterId }, { signal }) {
      const decide: EndRequest["decide"] = (registry) => deleteCluster(registry, clusterId);
      accept(decide(writer.registry()));
      await revokeUnusedTokens(store.registry, clusterId, clock.now());
      return { ended: own(await endGateways(options, { clusterId, decide, reason: "deleted", signal })) };
    },
  };
}

function own(ended: readonly EndedRecord[]): EndedRecord[] {
  return [...ended];
}
