/** @module What lets this gateway in: a join token, or an invite and the token that its platform keeps in a file. */
import { readFile } from "node:fs/promises";
import { SpanwireError } from "@spanwire/core/errors";
import { type Invite, parseInvite } from "@spanwire/core/identity/invite";
import { type JoinToken, parseJoinToken } from "@spanwire/core/identity/join-token";
import type { Secret } from "@spanwire/core/identity/secret";

export interface WayIn {
  readonly hub: Invite;
  /** What Register shows; a platform's token is read anew at each use, because it is replaced all the time. */
  readonly show: () => Promise<Shown>;
}

export type Shown =
  | { readonly token: { readonly id: string; readonly secret: Uint8Array<ArrayBuffer> } }
  | { readonly workloadToken: string };

export interface WayInOptions {
  /** The text of a join token; it counts before an invite. */
  readonly token: Secret | undefined;
  /** The text of an invite. */
  readonly invite?: string | undefined;
  /** Where the platform keeps the workload's token. */
  readonly workloadTokenFile?: string | undefined;
  /** To be sure of what is joined: token and invite must be for this cluster. */
  readonly clusterId: string | undefined;
  /** Where the hub is now, if not where token or invite say. */
  readonly hubAddress: string | undefined;
}

/** Undefined where there is neither token nor invite. Throws `invalid` for one that cannot be read, or is another's. */
export function findWayIn({
  token,
  invite,
  workloadTokenFile,
  clusterId,
  hubAddress,
}: WayInOptions): WayIn | undefined {
  const atHub = (said: Invite): Invite => {
    if (clusterId !== undefined && clusterId !== said.clusterId) {
      const what = token === undefined ? "invite" : "token";
      const message = `join cluster "${clusterId}": the ${what} is for cluster "${said.clusterId}"`;
      throw new SpanwireError("invalid", message, { reason: "TOKEN_WRONG_CLUSTER" });
    }
    return { ...said, hubAddress: hubAddress ?? said.hubAddress };
  };
  if (token !== undefined) {
    const { hub, show } = byJoinToken(parseJoinToken(Buffer.from(token.reveal()).toString()));
    return { hub: atHub(hub), show };
  }
  if (invite === undefined) return undefined;
  if (workloadTokenFile === undefined) {
    const message =
      "join by invite: no workload token: name the file that the platform keeps it in with --workload-token-file";
    throw new SpanwireError("invalid", message, { reason: "TOKEN_MISSING" });
  }
  return { hub: atHub(parseInvite(invite)), show: () => readWorkloadToken(workloadTokenFile) };
}

/** The way in that a join token is. */
export function byJoinToken({ id, secret, ...hub }: JoinToken): WayIn {
  const shown = { token: { id, secret: new Uint8Array(secret.reveal()) } };
  return { hub, show: async () => shown };
}

async function readWorkloadToken(path: string): Promise<Shown> {
  try {
    return { workloadToken: (await readFile(path, "utf8")).trim() };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `read the workload's token: ${why}: project a ServiceAccount token with audience "spanwire-hub" to there`;
    throw new SpanwireError("not-found", message, { cause, reason: "TOKEN_MISSING" });
  }
}
