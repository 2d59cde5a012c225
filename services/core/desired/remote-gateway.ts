/** @module One remote gateway as it is now: which peers we can build to it, and how good it is as a next hop. */
import { GatewayState, type Statement } from "@spanwire/proto/record";
import { wantedEpochs } from "../rotation/pair.ts";
import type { Context } from "./context.ts";
import { lanePorts, usableEndpoints } from "./endpoint-candidates.ts";
import type { GatewayPlan, PlanePlan } from "./gateway-plan.ts";
import { laneIndex } from "./lane.ts";
import type { GatewayLiveness, PairLanes } from "./local-facts.ts";
import type { Member } from "./member.ts";
import { trimmed } from "./reuse.ts";
import type { Peer } from "./state.ts";

/** Keeps NAT mappings, and makes the first packet after a write start the handshake. */
const KEEPALIVE_SECONDS = 20;

export interface RemoteGateway {
  readonly plan: GatewayPlan;
  /** One for each plane on which both sides have a key. Never empty. */
  readonly peers: readonly PlanePeer[];
  /** The lane that carries what we send. */
  readonly lane: string;
  /** 0 is best. A group takes the gateways of the best rank that has any, so its last member never leaves. */
  readonly rank: Rank;
}

export type Rank = (typeof RANKS)[number];

const SERVING = 0;
/** It fell of late and may fall again. */
const HELD = 1;
/** Takes nothing while another serves. */
const DRAINING = 2;
/** As far as we see. */
const DOWN = 3;
/** It drained before it went down: no doubt about it. */
const GONE = 4;
/** Neither side can dial the other. */
export const NO_PATH = 5;
const RANKS = [SERVING, HELD, DRAINING, DOWN, GONE, NO_PATH] as const;

export interface PlanePeer {
  readonly plane: PlanePlan;
  readonly peer: Peer;
}

/** What one remote gateway is compiled from. */
export interface GatewayFacts {
  readonly plan: GatewayPlan;
  readonly statement: Statement | undefined;
  readonly liveness: GatewayLiveness | undefined;
  readonly pair: PairLanes | undefined;
}

/** Undefined while there is nothing to build: no statement, or no key for an epoch that we have one for. */
export function findRemoteGateway(
  context: Context,
  { prefixes }: Member,
  { plan, statement, liveness, pair }: GatewayFacts,
): RemoteGateway | undefined {
  if (statement === undefined) return undefined;
  const { overlay, own, isReachable } = context;
  const forbidden = [overlay.ipv4, overlay.ipv6, ...prefixes, ...(own?.prefixes ?? [])];
  const candidates = usableEndpoints(statement, forbidden);

  const possible = plan.planes.flatMap((plane): PlanePeer[] => {
    const { epoch, key } = plane.use;
    const theirs = statement.keys.find((each) => each.epoch === epoch)?.publicKey;
    if (key === undefined || theirs?.length !== 32) return [];
    const publicKey = btoa(String.fromCharCode(...theirs));
    if (publicKey === key.publicKey) return []; // WireGuard ignores a peer with the device's own key
    const peer: Peer = {
      device: plane.device,
      publicKey,
      hasPresharedKey: false,
      endpoints: lanePorts(candidates, laneIndex(plane.use.plane, context.local.ordinal)),
      keepaliveSeconds: KEEPALIVE_SECONDS,
      allowedIps: plane.allowedIps,
    };
    return [{ plane, peer }];
  });
  const epochOf = ({ plane }: PlanePeer) => plane.use.epoch;
  const build = pair?.build ?? wantedEpochs(context.epoch, possible.map(epochOf));
  const peers = possible.filter((each) => build.includes(epochOf(each)));
  // The epoch to send on if it has a peer, else the active one, which comes first.
  const chosen = peers.find((each) => epochOf(each) === pair?.sendOn) ?? peers[0];
  if (chosen === undefined) return undefined;
  const rank = rankOf(statement, liveness, isReachable || chosen.peer.endpoints.length > 0);
  return { plan, peers: trimmed(peers), lane: chosen.peer.device, rank };
}

function rankOf(statement: Statement, liveness: GatewayLiveness | undefined, hasPath: boolean): Rank {
  const isDraining = statement.state === GatewayState.DRAINING || liveness?.draining === true;
  if (!hasPath) return NO_PATH;
  if (liveness?.down === true) return isDraining ? GONE : DOWN;
  if (isDraining) return DRAINING;
  return liveness?.held === true ? HELD : SERVING;
}
