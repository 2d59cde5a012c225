/** @module Renew: fresh credentials for an admitted gateway, also after its old ones have expired. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { equalBytes } from "@spanwire/core/records/digest";
import { clusterKey, gatewayKey } from "@spanwire/core/records/key";
import type { AdmittedGateway } from "@spanwire/proto/record";
import { type Renewal, RenewalSchema, type RenewRequest, type RenewResponseSchema } from "@spanwire/proto/registration";
import { refusal } from "../refusal.ts";
import { describeMapState, issueCredentials } from "./credentials.ts";
import { checkProof, decodeBody } from "./proof.ts";
import type { RegistrationOptions } from "./registration-service.ts";

/** More changes of one cluster than can happen while one set of credentials is made. */
const ATTEMPTS = 10;

export async function renew(
  options: RegistrationOptions,
  request: RenewRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof RenewResponseSchema>> {
  const { clock, map, users, validate, limitCluster, audit } = options;
  const nowMs = clock.now();
  const { identityKey } = checkProof("Renew", request, { ...options, nowMs });
  const { clusterId, ordinal, certificateRequest } = decodeBody(RenewalSchema, request.body, validate);
  const target = gatewayKey(clusterId, ordinal);
  audit.about({ target });

  let read = await readGateway(options, { clusterId, ordinal, identityKey }, signal);
  audit.about({ actor: { kind: "gateway", name: `${clusterId}/${ordinal}`, identityKey } });
  limitCluster(clusterId, nowMs);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { nkey } = read.gateway;
    if (await users.isBanned(nkey)) throw refusal("NKEY_REVOKED", `gateway ${clusterId}.${ordinal} was revoked`);
    const gateway = { clusterId, ordinal, identityKey, certificateRequest, nkey };
    const credentials = await issueCredentials(options, gateway, nowMs);
    // A revocation that was written meanwhile wins: what we made then never leaves this process.
    const again = await readGateway(options, { clusterId, ordinal, identityKey }, signal);
    if (again.revision === read.revision) {
      audit.changed({ action: "gateway.renew", target });
      return { credentials, mapState: describeMapState(map) };
    }
    read = again;
  }
  throw refusal("BUSY", `gateway ${clusterId}.${ordinal}: its cluster is being changed all the time: try again`);
}

/** The gateway as the store holds it now; throws `UNKNOWN_GATEWAY` unless it is admitted with this identity. */
export async function readGateway(
  { store, map }: Pick<RegistrationOptions, "store" | "map">,
  { clusterId, ordinal, identityKey }: Pick<Renewal, "clusterId" | "ordinal"> & { readonly identityKey: Uint8Array },
  signal: AbortSignal,
): Promise<{ readonly gateway: AdmittedGateway; readonly revision: number }> {
  const entry = await store.map.get(clusterKey(clusterId));
  const revision = entry?.revision ?? 0;
  await map.waitFor(revision, signal);
  const gateways = map.records.admissions.get(clusterId)?.gateways ?? [];
  const gateway = gateways.find((each) => each.ordinal === ordinal && equalBytes(each.identityKey, identityKey));
  if (gateway !== undefined) return { gateway, revision };
  const how = `spanwire token create ${clusterId} --ordinal ${ordinal} > FILE, and start its agent with --token-file FILE`;
  const message = `gateway ${clusterId}.${ordinal} is not admitted with this identity; to join again: ${how}`;
  throw refusal("UNKNOWN_GATEWAY", message);
}
