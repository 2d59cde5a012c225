/**
 * @module Register: a join token, or the token of a workload, becomes an admitted gateway.
 *
 * The claim of what is shown is the commit. Each later step is decided by what is stored and changes nothing the second
 * time, so that a hub that is killed between any two of them leaves only work for the agent's next try.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { admit } from "@spanwire/core/admission/admit";
import { clusterKey, gatewayKey } from "@spanwire/core/records/key";
import { AdmissionSchema } from "@spanwire/proto/record";
import { type RegisterRequest, type RegisterResponseSchema, RegistrationSchema } from "@spanwire/proto/registration";
import { decodeNkey } from "@spanwire/runtime/crypto/nkey";
import { stateJson } from "../audit/state-json.ts";
import { accept, refusal } from "../refusal.ts";
import { describeMapState, issueCredentials } from "./credentials.ts";
import { entitle } from "./entitle.ts";
import { checkProof, decodeBody } from "./proof.ts";
import type { RegistrationOptions } from "./registration-service.ts";

export async function register(
  options: RegistrationOptions,
  request: RegisterRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof RegisterResponseSchema>> {
  const { clock, map, store, writer, users, validate, limitCluster, admissionLeaseMs, keyRing, audit } = options;
  const nowMs = clock.now();
  const { identityKey, bodySha256: requestSha256 } = checkProof("Register", request, { ...options, nowMs });
  const registration = decodeBody(RegistrationSchema, request.body, validate);
  const { clusterId, nkey, certificateRequest } = registration;
  audit.about({ target: clusterKey(clusterId), tokenId: registration.token?.id });
  requireUserNkey(nkey);

  const revision = () => map.revisionOf(clusterKey(clusterId));
  const read = async () => {
    const at = revision(); // before the reads: a revocation that they miss is written later than this
    const shown = { registry: store.registry, keyRing, identityKey, requestSha256, nowMs, lineage: map.lineage };
    const [entitled, isBanned] = await Promise.all([entitle(registration, shown), users.isBanned(nkey)]);
    return { at, entitled, isBanned };
  };
  await map.whenCurrent(signal); // the lineage is part of what a token is judged by
  let known = await read();
  audit.about({ tokenId: known.entitled.tokenId });
  limitCluster(clusterId, nowMs);

  const notAfter = timestampFromMs(nowMs + admissionLeaseMs);
  const { value } = await writer.commit(async (registry) => {
    // A revocation ends token and user first and writes the cluster last: if that is unchanged, so are they.
    if (known.at !== revision()) known = await read();
    const { entitled, isBanned } = known;
    const wanted = { registration, identityKey, tokenOrdinal: entitled.ordinal, notAfter };
    const admitted = accept(admit({ ...registry, isBanned: () => isBanned }, wanted));
    const value = { admitted, before: registry.admissions.get(clusterId) };
    if (!admitted.changed) return { value, write: undefined };
    // Before the admission is written: after it nothing would remember that these were ever admitted.
    for (const replaced of admitted.replacedNkeys) await users.ban(replaced);
    return { value, write: { admission: admitted.admission, order: admitted.clusterOrder } };
  }, signal);
  const { admitted, before } = value;
  audit.about({ actor: { kind: "gateway", name: `${clusterId}/${admitted.ordinal}`, identityKey } });
  audit.changed({
    action: "gateway.register",
    target: gatewayKey(clusterId, admitted.ordinal),
    ...(admitted.changed
      ? { before: stateJson(AdmissionSchema, before), after: stateJson(AdmissionSchema, admitted.admission) }
      : { message: "was admitted already" }),
  });

  const gateway = { clusterId, ordinal: admitted.ordinal, identityKey, certificateRequest, nkey };
  return {
    ordinal: admitted.ordinal,
    incarnation: admitted.gatewayIncarnation,
    credentials: await issueCredentials(options, gateway, nowMs),
    mapState: describeMapState(map),
  };
}

/** The pattern of the request does not see a wrong checksum. */
function requireUserNkey(nkey: string): void {
  try {
    if (decodeNkey(nkey).kind === "user") return;
  } catch {
    // as below
  }
  throw refusal("INVALID_NKEY", `Register: "${nkey}" is not the public nkey of a NATS user`);
}
