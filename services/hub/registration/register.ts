/**
 * @module Register: a join token becomes an admitted gateway.
 *
 * The claim of the token is the commit. Each later step is decided by what is stored and changes nothing the second
 * time, so that a hub that is killed between any two of them leaves only work for the agent's next try.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Admitted, admit } from "@spanwire/core/admission/admit";
import type { Registry } from "@spanwire/core/admission/registry";
import { type RegisterRequest, type RegisterResponseSchema, RegistrationSchema } from "@spanwire/proto/registration";
import { decodeNkey } from "@spanwire/runtime/crypto/nkey";
import { accept, refusal } from "../refusal.ts";
import { describeMapState, issueCredentials } from "./credentials.ts";
import { checkProof, decodeBody } from "./proof.ts";
import type { RegistrationOptions } from "./registration-service.ts";
import { claimToken } from "./tokens.ts";

export async function register(
  options: RegistrationOptions,
  request: RegisterRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof RegisterResponseSchema>> {
  const { clock, map, store, writer, users, validate, limitCluster, admissionLeaseMs } = options;
  const nowMs = clock.now();
  const { identityKey, bodySha256: requestSha256 } = checkProof("Register", request, { ...options, nowMs });
  const registration = decodeBody(RegistrationSchema, request.body, validate);
  const { clusterId, nkey, ordinal, token: shown } = registration;
  requireUserNkey(nkey);

  const { id = "", secret = new Uint8Array() } = shown ?? {};
  const use = { id, secret, clusterId, ordinal, identityKey, requestSha256 };
  const claim = () => claimToken(store.registry, use, { nowMs, lineage: map.lineage });
  await map.whenCurrent(signal); // the lineage is part of what a token is judged by
  await claim();
  limitCluster(clusterId, nowMs);

  const notAfter = timestampFromMs(nowMs + admissionLeaseMs);
  const { value: admitted } = await writer.commit(async (registry) => {
    // Again, now that the map is the one we write upon: a revocation since then has ended token or user first.
    const [token, isBanned] = await Promise.all([claim(), users.isBanned(nkey)]);
    const request = { registration, identityKey, tokenOrdinal: token.ordinal, notAfter };
    const value = accept(admit({ ...registry, isBanned: () => isBanned }, request));
    if (!value.changed) return { value, write: undefined };
    await banReplaced(options, registry, clusterId, value);
    return { value, write: { admission: value.admission, order: value.clusterOrder } };
  }, signal);

  const gateway = { clusterId, ordinal: admitted.ordinal, identityKey, nkey };
  return {
    ordinal: admitted.ordinal,
    incarnation: admitted.gatewayIncarnation,
    credentials: issueCredentials(options, gateway, nowMs),
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

/**
 * The user whose place in the cluster is taken, by a new identity or a new nkey. Before the admission is written: after
 * it nothing would remember that this user was ever admitted.
 */
async function banReplaced(
  { users }: RegistrationOptions,
  { admissions }: Registry,
  clusterId: string,
  { admission, ordinal }: Admitted,
): Promise<void> {
  const nkeyIn = (gateways: readonly { ordinal: number; nkey: string }[] = []) =>
    gateways.find((gateway) => gateway.ordinal === ordinal)?.nkey;
  const before = nkeyIn(admissions.get(clusterId)?.gateways);
  if (before !== undefined && before !== nkeyIn(admission.gateways)) await users.ban(before);
}
