/** @module Clusters for operators: shown, changed, revoked, deleted. */
import { deleteCluster, revokeCluster, revokeGateway } from "@spanwire/core/admission/revoke";
import { updateCluster } from "@spanwire/core/admission/update";
import { clusterKey, gatewayKey } from "@spanwire/core/records/key";
import type { FleetService } from "@spanwire/proto/fleet";
import { AdmissionSchema } from "@spanwire/proto/record";
import type { CallContext } from "@spanwire/runtime/grpc/context";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import type { CallAudit } from "../audit/audited-calls.ts";
import { stateJson } from "../audit/state-json.ts";
import { accept, refusal } from "../refusal.ts";
import { type EndRequest, endGateways } from "../registration/end-gateways.ts";
import { findInvite, withdrawInvite } from "../registration/invites.ts";
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
  const { store, writer, clock, audit } = options;
  const aboutEnd = (context: CallContext, action: string, target: string) => {
    const call = audit.calls.of(context);
    call.about({ target });
    return { audit: call, action, target, signal: context.signal };
  };
  /** Whatever could still let somebody in; says whether a workload could have been about to join. */
  const closeDoors = async (clusterId: string, call: CallAudit): Promise<boolean> => {
    const isInvited = (await findInvite(store.registry, clusterId)) !== undefined;
    if (isInvited) {
      await withdrawInvite(store.registry, clusterId);
      call.changed({ action: "cluster.withdraw-invite", target: clusterKey(clusterId) });
    }
    for (const id of await revokeUnusedTokens(store.registry, clusterId, clock.now())) {
      call.changed({ action: "token.revoke", target: `token.${id}` });
    }
    return isInvited;
  };
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
    async updateCluster({ id: clusterId, prefixes, labels, expectedGeneration, dryRun }, context) {
      const call = audit.calls.of(context);
      const target = clusterKey(clusterId);
      call.about({ target });
      const change = { clusterId, prefixes, labels, expectedGeneration };
      const { value } = await writer.commit(async (registry) => {
        const updated = accept(updateCluster(registry, change));
        const write = updated.changed && !dryRun ? updated : undefined;
        return { value: { updated, write, before: registry.admissions.get(clusterId) }, write };
      }, context.signal);
      const { updated, write, before } = value;
      if (write !== undefined) {
        const after = stateJson(AdmissionSchema, updated.admission);
        call.changed({ action: "cluster.update", target, before: stateJson(AdmissionSchema, before), after });
      }
      return { cluster: describeCluster(meshFacts(options), updated.admission) };
    },
    async revokeGateway({ clusterId, ordinal, reason }, context) {
      const decide: EndRequest["decide"] = (registry) => revokeGateway(registry, clusterId, ordinal);
      const about = aboutEnd(context, "gateway.revoke", gatewayKey(clusterId, ordinal));
      return { ended: own(await endGateways(options, { clusterId, decide, reason, ...about })) };
    },
    async revokeCluster({ id: clusterId, reason }, context) {
      const about = aboutEnd(context, "cluster.revoke", clusterKey(clusterId));
      accept(revokeCluster(writer.registry(), clusterId));
      const mustWrite = await closeDoors(clusterId, about.audit);
      const decide: EndRequest["decide"] = (registry) => revokeCluster(registry, clusterId, { mustWrite });
      return { ended: own(await endGateways(options, { clusterId, decide, reason, ...about })) };
    },
    async deleteCluster({ id: clusterId }, context) {
      const decide: EndRequest["decide"] = (registry) => deleteCluster(registry, clusterId);
      const about = aboutEnd(context, "cluster.delete", clusterKey(clusterId));
      accept(decide(writer.registry()));
      await closeDoors(clusterId, about.audit);
      return { ended: own(await endGateways(options, { clusterId, decide, reason: "deleted", ...about })) };
    },
  };
}

function own(ended: readonly EndedRecord[]): EndedRecord[] {
  return [...ended];
}
