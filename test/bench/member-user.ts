/** @module The NATS user of one gateway of the made-up mesh. */
import type { NatsConnection } from "@nats-io/transport-node";
import { inboxPrefix } from "@spanwire/core/subjects";
import { createLog } from "@spanwire/runtime/log/create-log";
import { jwtAuthenticator } from "@spanwire/runtime/nats/authenticator";
import { connectNats } from "@spanwire/runtime/nats/connect";
import { identityOf, type Site } from "./made-up-mesh.ts";

export interface MemberUser {
  readonly site: Site;
  readonly url: string;
  readonly caPem: string;
  readonly jwt: string;
}

/** A connection as an agent's, for controls that do without the rest of it. */
export function connectMember({ site, url, caPem, jwt }: MemberUser, signal: AbortSignal): Promise<NatsConnection> {
  return connectNats({
    servers: [url],
    name: site.clusterId,
    tls: { caPem },
    inboxPrefix: inboxPrefix({ clusterId: site.clusterId, ordinal: 0 }),
    authenticator: jwtAuthenticator({ jwt: () => jwt, user: identityOf(site).nkey }),
    log: createLog({ name: "bare", level: "error" }),
    signal,
  });
}
