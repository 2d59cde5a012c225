/** @module Whether a join token may be used, and by whom. Pure. */
import { equalBytes } from "@spanwire/core/records/digest";
import type { Reason } from "../refusal.ts";
import type { TokenClaim, TokenRecord } from "./token-record.ts";

/** What a request shows of a token and of itself. */
export interface Presented {
  readonly secretSha256: Uint8Array;
  readonly clusterId: string;
  readonly ordinal: number | undefined;
  readonly identityKey: Uint8Array;
  readonly requestSha256: Uint8Array;
}

export interface JudgeOptions {
  readonly nowMs: number;
  readonly lineage: bigint;
  /** Compares without telling by its time how much was right. */
  readonly equalSecrets: (a: Uint8Array, b: Uint8Array) => boolean;
}

export type TokenVerdict =
  /** This very request claimed it before: its answer was lost. */
  | { readonly kind: "claimed" }
  /** To be written before anything else is done. */
  | { readonly kind: "claim"; readonly claim: TokenClaim }
  | { readonly kind: "refused"; readonly reason: Reason; readonly message: string };

/**
 * Judges a use of a token. The identity that claimed it may use it again, also with another request (its first one may
 * have been refused for a prefix); nobody else may. An unknown token and a wrong secret are the same answer.
 */
export function judgeToken(token: TokenRecord | undefined, shown: Presented, options: JudgeOptions): TokenVerdict {
  const { nowMs, lineage, equalSecrets } = options;
  const known = equalSecrets(token?.secretSha256 ?? new Uint8Array(shown.secretSha256.length), shown.secretSha256);
  if (token === undefined || !known) {
    return refuse("TOKEN_UNKNOWN", "join token: not one of this hub; create one with: spanwire token create CLUSTER");
  }
  const what = `join token ${token.id}`;
  const again = `create another with: spanwire token create ${token.clusterId}`;
  if (token.clusterId !== shown.clusterId) {
    return refuse("TOKEN_WRONG_CLUSTER", `${what}: is for cluster "${token.clusterId}", not "${shown.clusterId}"`);
  }
  if (token.revokedAtMs !== undefined) return refuse("TOKEN_REVOKED", `${what}: was revoked; ${again}`);
  if (token.claim !== undefined && !equalBytes(token.claim.identityKey, shown.identityKey)) {
    return refuse("TOKEN_ALREADY_USED", `${what}: another gateway has used it; ${again}`);
  }
  if (token.claim !== undefined && equalBytes(token.claim.requestSha256, shown.requestSha256)) {
    return { kind: "claimed" };
  }
  if (token.lineage !== lineage) {
    return refuse("TOKEN_REVOKED", `${what}: is void since the hub's store was made anew; ${again}`);
  }
  if (nowMs > token.expiresAtMs) {
    return refuse("TOKEN_EXPIRED", `${what}: expired ${age(nowMs - token.expiresAtMs)} ago; ${again}`);
  }
  if (token.ordinal !== undefined && shown.ordinal !== undefined && token.ordinal !== shown.ordinal) {
    return refuse("TOKEN_WRONG_ORDINAL", `${what}: is for ordinal ${token.ordinal}, not ${shown.ordinal}`);
  }
  const { identityKey, requestSha256 } = shown;
  return { kind: "claim", claim: { identityKey, requestSha256, atMs: nowMs } };
}

function refuse(reason: Reason, message: string): TokenVerdict {
  return { kind: "refused", reason, message };
}

const UNITS = [
  { name: "d", ms: 86_400_000 },
  { name: "h", ms: 3_600_000 },
  { name: "min", ms: 60_000 },
] as const;

/** "3 h", in the largest unit that it fills. */
function age(ms: number): string {
  const unit = UNITS.find((each) => ms >= each.ms) ?? { name: "s", ms: 1_000 };
  return `${Math.floor(ms / unit.ms)} ${unit.name}`;
}
