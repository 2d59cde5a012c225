/** @module The token of the mesh's account, as far as bans change it. Pure. */
import { encodeNatsJwt, type NatsClaims } from "@spanwire/runtime/crypto/nats-jwt";
import type { NkeyPair } from "@spanwire/runtime/crypto/nkey";

/** Every token issued before the year 2100 is refused, whatever the clock of the hub that issued it. */
const FOR_EVER_S = 4_102_444_800;

/** What the account's token should say of users; of those that are in neither it may say what it says. */
export interface RefusedUsers {
  readonly refused: ReadonlySet<string>;
  /** Need not be named any more: every token of theirs has expired. */
  readonly expired: ReadonlySet<string>;
}

/** Whether the account's token says so already. */
export function refusesUsers(present: NatsClaims, { refused, expired }: RefusedUsers): boolean {
  const revocations = revocationsOf(present);
  const isRefused = (nkey: string) => revocations[nkey] === FOR_EVER_S;
  return [...refused].every(isRefused) && ![...expired].some(isRefused);
}

/**
 * Signs the account's token anew so that it says so; all else stays as the operator, or another hub, made it. Always issued
 * later than the present one, although our clock may be behind: a server drops an older token without a word.
 */
export function refuseUsers(
  present: NatsClaims,
  { refused, expired }: RefusedUsers,
  { nowMs, operator }: { readonly nowMs: number; readonly operator: NkeyPair },
): string {
  const { jti: _jti, iss: _iss, ...claims } = present;
  const others = Object.entries(revocationsOf(present)).filter(([nkey]) => !refused.has(nkey) && !expired.has(nkey));
  const ours = [...refused].sort().map((nkey) => [nkey, FOR_EVER_S]);
  const nats = { ...claims.nats, revocations: Object.fromEntries([...others, ...ours]) };
  return encodeNatsJwt({ ...claims, iat: Math.max(Math.floor(nowMs / 1_000), present.iat + 1), nats }, operator);
}

function revocationsOf({ nats }: NatsClaims): Readonly<Record<string, unknown>> {
  const revocations: unknown = nats["revocations"];
  return typeof revocations === "object" && revocations !== null ? { ...revocations } : {};
}
