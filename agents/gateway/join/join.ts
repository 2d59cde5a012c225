/** @module Stop 1 from the agent's side: a membership from disk, or from a join token. */
import { SpanwireError } from "@spanwire/core/errors";
import { parseJoinToken } from "@spanwire/core/identity/join-token";
import type { Secret } from "@spanwire/core/identity/secret";
import type { Clock, Random } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import { fullJitterMs } from "@spanwire/runtime/loop/backoff";
import type { GatewayIdentity } from "../identity/gateway-identity.ts";
import { findMembership, type Membership, storeMembership } from "./membership.ts";
import { register, type Wish } from "./register.ts";

export interface JoinOptions {
  readonly stateDirectory: string;
  readonly identity: GatewayIdentity;
  /** The text of a join token; ignored once joined. */
  readonly token: Secret | undefined;
  /** To be sure of what is joined: the token and the membership must be for this cluster. */
  readonly clusterId: string | undefined;
  /** Where the hub is now, if not where the token says. */
  readonly hubAddress: string | undefined;
  readonly wish: Wish;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const BACKOFF = { baseMs: 500, capMs: 30_000 };

/**
 * Gives the membership, joining first where there is none: tries for as long as the hub is away, always with the same
 * identity, so that an answer that was lost is given again. Throws the hub's refusal, with what to do about it.
 */
export async function ensureMembership(options: JoinOptions): Promise<Membership> {
  const { stateDirectory, clusterId, hubAddress, log } = options;
  const present = await findMembership(stateDirectory);
  if (present === undefined) return join(options);
  if (clusterId !== undefined && clusterId !== present.clusterId) {
    const message = `state directory ${stateDirectory}: belongs to cluster "${present.clusterId}", not "${clusterId}": use another state directory, or leave first`;
    throw new SpanwireError("conflict", message, { reason: "OTHER_CLUSTER" });
  }
  if (options.token !== undefined) log.info({ cluster: present.clusterId }, "joined before: the token is ignored");
  return hubAddress === undefined ? present : { ...present, hubAddress };
}

async function join(options: JoinOptions): Promise<Membership> {
  const { stateDirectory, token: text, clusterId, hubAddress, clock, signal, log } = options;
  if (text === undefined) {
    const message = `join cluster "${clusterId ?? "?"}": no join token: make one at the hub with "spanwire token create ${clusterId ?? "CLUSTER"}" and pass it by --token-file; a file that does not exist counts as none`;
    throw new SpanwireError("unauthenticated", message, { reason: "TOKEN_MISSING" });
  }
  const said = parseJoinToken(Buffer.from(text.reveal()).toString());
  if (clusterId !== undefined && clusterId !== said.clusterId) {
    const message = `join cluster "${clusterId}": the token is for cluster "${said.clusterId}"`;
    throw new SpanwireError("invalid", message, { reason: "TOKEN_WRONG_CLUSTER" });
  }
  const token = { ...said, hubAddress: hubAddress ?? said.hubAddress };
  const membership = await untilAnswered(options, () =>
    register({ token, identity: options.identity, wish: options.wish, nowMs: () => clock.now(), signal }),
  );
  await storeMembership(stateDirectory, membership);
  log.info({ cluster: membership.clusterId, ordinal: membership.ordinal }, "joined the mesh");
  return membership;
}

/** Repeats what fails only because the other side is away. */
async function untilAnswered<T>({ clock, random, log, signal }: JoinOptions, ask: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !(error instanceof SpanwireError) || !error.retryable) throw error;
      const retryInMs = fullJitterMs(BACKOFF, failures, random);
      log.warn({ err: error, retryInMs }, "the hub does not answer: trying again");
      await clock.sleep(retryInMs, signal);
    }
  }
}
