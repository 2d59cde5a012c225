/** @module Leave: a gateway ends itself. Its cluster stays, with its prefixes, also without gateways. */
import { revokeGateway } from "@spanwire/core/admission/revoke";
import { SpanwireError } from "@spanwire/core/errors";
import { gatewayKey } from "@spanwire/core/records/key";
import { type LeaveRequest, RenewalSchema } from "@spanwire/proto/registration";
import { endGateways } from "./end-gateways.ts";
import { checkProof, decodeBody } from "./proof.ts";
import type { RegistrationOptions } from "./registration-service.ts";
import { readGateway } from "./renew.ts";

/** Idempotent: a gateway that has left already gets the same answer. */
export async function leave(options: RegistrationOptions, request: LeaveRequest, signal: AbortSignal): Promise<object> {
  const { clock, map, validate, audit } = options;
  const { identityKey } = checkProof("Leave", request, { ...options, nowMs: clock.now() });
  const { clusterId, ordinal } = decodeBody(RenewalSchema, request.body, validate);
  audit.about({ target: gatewayKey(clusterId, ordinal) });
  try {
    await readGateway(options, { clusterId, ordinal, identityKey }, signal);
  } catch (error) {
    const isAdmitted = map.records.admissions.get(clusterId)?.gateways.some((each) => each.ordinal === ordinal);
    const isEnded = map.records.get(gatewayKey(clusterId, ordinal))?.payload.body.case === "tombstone";
    if (error instanceof SpanwireError && error.reason === "UNKNOWN_GATEWAY" && !isAdmitted && isEnded) return {};
    throw error;
  }
  audit.about({ actor: { kind: "gateway", name: `${clusterId}/${ordinal}`, identityKey } });
  await endGateways(options, {
    clusterId,
    decide: (registry) => revokeGateway(registry, clusterId, ordinal),
    reason: "left",
    audit,
    action: "gateway.leave",
    target: gatewayKey(clusterId, ordinal),
    signal,
  });
  return {};
}
