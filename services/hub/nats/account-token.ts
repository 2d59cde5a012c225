/** @module The token of the mesh's account, as far as bans change it. Pure. */
import { encodeNatsJwt, type NatsClaims } from "@spanwire/runtime/crypto/nats-jwt";
import type { NkeyPair } from "@spanwire/runtime/crypto/nkey";

/** Every token issued before the year 2100 is refused, whatever the clock of the hub that issued it. */
const FOR_EVER_S = 4_102_444_800;

/** Whether the account's token refuses all these users and, of those that a hub made it refuse, no others. */
export function refusesExactly(present: NatsClaims, nkeys: ReadonlySet<string>): boolean {
  const ours = Object.entries(revocationsOf(present)).filter(([, seconds]) => seconds === FOR_EVER_S);
  return ours.length === nkeys.size && ours.every(([nkey]) => nkeys.has(nkey));
}

/**
 * Signs the account's token anew so that it refuses these users; all else stays as the operator made it. Always issued
 * later than the present one, although our clock may be behind: a server drops an older token without a word.
 */
export function refuseUsers(
  present: NatsClaims,
  nkeys: ReadonlySet<string>,
  { nowMs, operator }: { readonly nowMs: number; readonly operator: NkeyPair },
): string {
  const { jti: _jti, iss: _iss, ...claims } = present;
  const others = Object.entries(revocationsOf(present)).filter(([, seconds]) => seconds !== FOR_EVER_S);
  const ours = [...nkeys].sort().map((nkey) => [nkey, FOR_EVER_S]);
  const nats = { ...claims.nats, revocations: Object.fromEntries([...others, ...ours]) };
  return encodeNatsJwt({ ...claims, iat: Math.max(Math.floor(nowMs / 1_000), present.iat + 1), nats }, operator);
}

function revocationsOf({ nats }: NatsClaims): Readonly<Record<string, unknown>> {
  const revocations: unknown = nats["revocations"];
  return typeof revocations === "object" && revocations !== null ? { ...revocations } : {};
}
