/** @module Invites for operators: whose tokens let a cluster's workloads join. */
import { createSecureContext } from "node:tls";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { formatInvite } from "@spanwire/core/identity/invite";
import type { WorkloadRule } from "@spanwire/core/identity/workload-rule";
import { clusterKey } from "@spanwire/core/records/key";
import type { FleetService, InviteSchema, WorkloadIssuer } from "@spanwire/proto/fleet";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import type { KeySource } from "../oidc/issuer-keys.ts";
import { readJwks } from "../oidc/read-jwks.ts";
import { refusal } from "../refusal.ts";
import type { InviteRecord } from "../registration/invite-record.ts";
import { listInvites, storeInvite, withdrawInvite } from "../registration/invites.ts";
import type { FleetOptions } from "./fleet-service.ts";

const AUDIENCE = "spanwire-hub";

export function inviteHandlers({
  store,
  map,
  writer,
  clock,
  frame,
  audit,
}: FleetOptions): Pick<Handlers<typeof FleetService>, "inviteCluster" | "withdrawInvite" | "listInvites"> {
  return {
    async inviteCluster({ clusterId, issuer }, context) {
      const call = audit.calls.of(context);
      const target = clusterKey(clusterId);
      call.about({ target });
      if (issuer === undefined) throw new TypeError("a request without an issuer was let through");
      const { maxGateways } = writer.registry().mesh;
      if (issuer.ordinal !== undefined && issuer.ordinal >= maxGateways) {
        const message = `invite cluster "${clusterId}": this mesh has ordinals 0 to ${maxGateways - 1}`;
        throw refusal("ORDINAL_OUT_OF_RANGE", message);
      }
      const invite: InviteRecord = {
        clusterId,
        source: sourceOf(issuer),
        issuer: issuer.issuer || undefined,
        audience: issuer.audience || AUDIENCE,
        rule: ruleOf(issuer),
        createdAtMs: clock.now(),
        lineage: map.lineage,
      };
      const before = await storeInvite(store.registry, invite);
      call.changed({
        action: "cluster.invite",
        target,
        before: before && inviteJson(before),
        after: inviteJson(invite),
      });
      return { invite: formatInvite({ clusterId, ...frame }), info: describeInvite(invite, map.lineage) };
    },
    async withdrawInvite({ clusterId }, context) {
      const call = audit.calls.of(context);
      const target = clusterKey(clusterId);
      call.about({ target });
      const withdrawn = await withdrawInvite(store.registry, clusterId);
      call.changed({ action: "cluster.withdraw-invite", target, before: inviteJson(withdrawn) });
      return {};
    },
    async listInvites() {
      const invites = await listInvites(store.registry);
      return { invites: invites.map((invite) => describeInvite(invite, map.lineage)) };
    },
  };
}

/** Keys that are given are kept as they are read: only their public members. */
function sourceOf({ jwks, url, caPem }: WorkloadIssuer): KeySource {
  if (url !== "") return { kind: "published", url, caPem: caPem === "" ? undefined : requireCa(caPem) };
  return { kind: "given", jwks: JSON.stringify(readJwks(jwks)) };
}

function requireCa(caPem: string): string {
  try {
    createSecureContext({ ca: caPem });
    return caPem;
  } catch {
    throw refusal("INVALID_JWKS", "CA of the issuer: not certificates as PEM");
  }
}

function ruleOf({ subject, claims, ordinal, ordinalClaim, instanceClaim }: WorkloadIssuer): WorkloadRule {
  return {
    subject,
    claims,
    ordinal: ordinal === undefined ? { pointer: ordinalClaim } : { fixed: ordinal },
    instancePointer: instanceClaim,
  };
}

function describeInvite(invite: InviteRecord, lineage: bigint): MessageInitShape<typeof InviteSchema> {
  const { clusterId, source, issuer, audience, rule, createdAtMs } = invite;
  const { subject, claims, ordinal, instancePointer } = rule;
  return {
    clusterId,
    issuer: {
      ...(source.kind === "given" ? { jwks: source.jwks } : { url: source.url, caPem: source.caPem ?? "" }),
      issuer: issuer ?? "",
      audience,
      subject,
      claims,
      ...("fixed" in ordinal ? { ordinal: ordinal.fixed } : { ordinalClaim: ordinal.pointer }),
      instanceClaim: instancePointer,
    },
    createdAt: timestampFromMs(createdAtMs),
    void: invite.lineage !== lineage,
  };
}

/** For the audit log: whom it lets in; of given keys, their ids. */
function inviteJson({ source, issuer, audience, rule }: InviteRecord): string {
  const keys = source.kind === "given" ? readJwks(source.jwks).keys?.map(({ kid }) => kid ?? "") : source.url;
  return JSON.stringify({ keys, issuer, audience, ...rule });
}
