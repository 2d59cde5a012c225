/** @module The NATS users of a crowd, shared out over a few processes. */
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { identityOf, type Site } from "./made-up-mesh.ts";
import type { MemberUser } from "./member-user.ts";
import type { Stage } from "./stage.ts";

const DAY_MS = 86_400_000;

/** A user for each site, with an agent's rights, good for a day. */
export function usersOf(
  { operator, authority }: Pick<Stage, "operator" | "authority">,
  sites: readonly Site[],
  url: string,
): readonly MemberUser[] {
  const nowMs = systemClock.now();
  const caPem = authority.ca.certificatePem;
  return sites.map((site) => {
    const gateway = { clusterId: site.clusterId, ordinal: 0 };
    const nkey = identityOf(site).nkey.publicKey;
    return { site, url, caPem, jwt: operator.agentUserJwt(gateway, { nkey, nowMs, expiresAtMs: nowMs + DAY_MS }) };
  });
}

/** Item i goes to share i modulo `count`, so that the shares are equal and each has some of the first. */
export function shares<T>(items: readonly T[], count: number): readonly (readonly T[])[] {
  return Array.from({ length: count }, (_, share) => items.filter((_, index) => index % count === share));
}
