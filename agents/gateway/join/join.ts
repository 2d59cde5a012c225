/** @module Stop 1 from the agent's side: a membership from disk, or from a join token or an invite. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock, Random } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import { fullJitterMs } from "@spanwire/runtime/loop/backoff";
import type { GatewayIdentity } from "../identity/gateway-identity.ts";
import { findMembership, type Membership, storeMembership } from "./membership.ts";
import { register, type Wish } from "./register.ts";
import { findWayIn, type WayIn, type WayInOptions } from "./way-in.ts";

export interface JoinOptions extends WayInOptions {
  readonly stateDirectory: string;
  readonly identity: GatewayIdentity;
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
  if (options.token !== undefined) log.info({ cluster: present.clusterId }, "joined before: the token waits");
  return hubAddress === undefined ? present : { ...present, hubAddress };
}

/**
 * Joins once more with the same identity, for when the hub knows it no more: its store may have been lost. Undefined
 * where nothing lets us in but the membership itself.
 */
export function rejoinWith(options: JoinOptions): (() => Promise<Membership>) | undefined {
  if (options.token === undefined && options.invite === undefined) return undefined;
  return async () => registerBy(requireWayIn(options), options);
}

function registerBy(way: WayIn, { identity, wish, clock, signal }: JoinOptions): Promise<Membership> {
  return register({ way, identity, wish, nowMs: () => clock.now(), signal });
}

async function join(options: JoinOptions): Promise<Membership> {
  const { stateDirectory, log } = options;
  const way = requireWayIn(options);
  const membership = await untilAnswered(options, () => registerBy(way, options));
  await storeMembership(stateDirectory, membership);
  log.info({ cluster: membership.clusterId, ordinal: membership.ordinal }, "joined the mesh");
  return membership;
}

function requireWayIn(options: JoinOptions): WayIn {
  const way = findWayIn(options);
  if (way !== undefined) return way;
  const { clusterId } = options;
  const message = `join cluster "${clusterId ?? "?"}": no join token: make one at the hub with "spanwire token create ${clusterId ?? "CLUSTER"}" and pass it by --token-file; a file that does not exist counts as none`;
  throw new SpanwireError("unauthenticated", message, { reason: "TOKEN_MISSING" });
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
