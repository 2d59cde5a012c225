/** @module What lets a caller of Register in: a join token, or the token of a workload; each is claimed for its identity. */
import { judgeWorkload } from "@spanwire/core/identity/workload-rule";
import type { Registration } from "@spanwire/proto/registration";
import type { KeyRing } from "../oidc/issuer-keys.ts";
import { verifyToken } from "../oidc/verify-token.ts";
import { refusal } from "../refusal.ts";
import type { RegistryBucket } from "../state/port.ts";
import { findInvite } from "./invites.ts";
import { claimToken, type Now } from "./tokens.ts";
import { claimOrdinal } from "./workload-claims.ts";

export interface Entitlement {
  /** The only ordinal that the caller may take, and one that it may take over; undefined is any free one. */
  readonly ordinal: number | undefined;
  /** As the audit log names it: the join token's id, or the workload's instance. */
  readonly tokenId: string;
}

export interface EntitleOptions extends Now {
  readonly registry: RegistryBucket;
  readonly keyRing: KeyRing;
  readonly identityKey: Uint8Array;
  /** SHA-256 of the signed body. */
  readonly requestSha256: Uint8Array;
}

/** Claims what the request shows, the commit of a registration; throws the refusal. Nothing may be done before. */
export async function entitle(registration: Registration, options: EntitleOptions): Promise<Entitlement> {
  const { registry, identityKey, requestSha256, nowMs, lineage } = options;
  const { token: shown, clusterId, ordinal } = registration;
  if (shown === undefined) return entitleWorkload(registration, options);
  const use = { id: shown.id, secret: shown.secret, clusterId, ordinal, identityKey, requestSha256 };
  const token = await claimToken(registry, use, { nowMs, lineage });
  return { ordinal: token.ordinal, tokenId: token.id };
}

async function entitleWorkload(
  { clusterId, ordinal: wanted, workloadToken }: Registration,
  { registry, keyRing, identityKey, nowMs, lineage }: EntitleOptions,
): Promise<Entitlement> {
  const invite = await findInvite(registry, clusterId);
  if (invite === undefined || invite.lineage !== lineage) {
    const why =
      invite === undefined ? "no workload of it is invited" : "its invite is void since the hub's store was made anew";
    throw refusal(
      "WORKLOAD_NOT_INVITED",
      `cluster "${clusterId}": ${why}; invite it with: spanwire cluster invite ${clusterId}`,
    );
  }
  const { source, issuer, audience, rule } = invite;
  const owner = `cluster "${clusterId}"`;
  const payload = await verifyToken(keyRing, workloadToken, { owner, source, issuer, audience, nowMs });
  const judged = judgeWorkload(rule, payload);
  if (!judged.ok) throw refusal(judged.reason, `${owner}: its token ${judged.message}`);
  const { ordinal, instance } = judged;
  if (wanted !== undefined && wanted !== ordinal) {
    throw refusal("TOKEN_WRONG_ORDINAL", `${owner}: its token is for ordinal ${ordinal}, not ${wanted}`);
  }
  await claimOrdinal(registry, { clusterId, ordinal }, { instance, identityKey, issuedAtS: payload.iat });
  return { ordinal, tokenId: instance };
}
