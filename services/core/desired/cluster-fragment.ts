/** @module What one remote cluster adds to the kernel, from its plan and what its gateways say now. */
import type { Family } from "../address/ip.ts";
import { bestMetric } from "./base.ts";
import type { ClusterPlan } from "./cluster-plan.ts";
import type { Condition } from "./condition.ts";
import type { Context } from "./context.ts";
import { EMPTY_FRAGMENT, type Fragment } from "./desired.ts";
import type { GatewayPlan } from "./gateway-plan.ts";
import { groupNexthopId } from "./nexthop-id.ts";
import { NO_PATH, type RemoteGateway } from "./remote-gateway.ts";
import { trimmed } from "./reuse.ts";
import type { Nexthop, Route } from "./state.ts";

/** A cluster with tunnels of its own, or one that is not linked and only guarded against. */
export function compileDirect(context: Context, plan: ClusterPlan, gateways: readonly RemoteGateway[]): Fragment {
  const { verdict } = plan;
  const members = bestRanked(gateways);
  return {
    ...guardOf(plan),
    peers: peersOf(gateways),
    nexthops: trimmed([...gateways.flatMap(gatewayNexthops), ...groups(context, plan, members)]),
    routes: trimmed([
      ...gateways.flatMap((gateway) => gatewayRoutes(context, gateway)),
      ...(members.length > 0 ? groupRoutes(context, plan, plan.member.block) : []),
      ...plan.blackholes,
    ]),
    conditions: [...plan.conditions, ...(verdict.linked ? pathConditions(plan.member.id, gateways) : [])],
  };
}

/**
 * The same cluster when a gateway has moved, and all else is as it was: `former` is what `compileDirect` made of `before`.
 * Undefined where more is different, or there was no tunnel.
 */
export function movePeers(
  former: Fragment,
  before: readonly RemoteGateway[],
  now: readonly RemoteGateway[],
): Fragment | undefined {
  const isMove =
    before.length > 0 &&
    before.length === now.length &&
    before.every((gateway, n) => differsInPeersOnly(gateway, now[n]));
  return isMove ? { ...former, peers: peersOf(now) } : undefined;
}

/** Whether nexthops, routes and conditions are the same. */
function differsInPeersOnly(a: RemoteGateway, b: RemoteGateway | undefined): boolean {
  return (
    a.plan === b?.plan &&
    a.lane === b.lane &&
    a.rank === b.rank &&
    a.peers.length === b.peers.length &&
    a.peers.every(({ plane }, n) => plane === b.peers[n]?.plane)
  );
}

function peersOf(gateways: readonly RemoteGateway[]): Fragment["peers"] {
  return trimmed(gateways.flatMap(({ peers }) => peers.map(({ peer }) => peer)));
}

/** A cluster that another one carries: its routes point at the carrier's group. */
export function compileCarried(context: Context, plan: ClusterPlan, carrier: Carrier): Fragment {
  if (!carrier.usable) {
    const condition: Condition = {
      type: "TransitUnavailable",
      subject: `cluster ${plan.member.id}`,
      message: `${plan.member.id} is to be reached through ${carrier.id}: ${carrier.why}`,
    };
    return { ...guardOf(plan), conditions: [...plan.conditions, condition] };
  }
  return { ...guardOf(plan), routes: [...groupRoutes(context, plan, carrier.block), ...plan.blackholes] };
}

export type Carrier =
  | { readonly usable: true; readonly id: string; readonly block: number }
  | { readonly usable: false; readonly id: string; readonly why: string };

function guardOf({ blackholes, remote, kept, forward, snat, conditions }: ClusterPlan): Fragment {
  return { ...EMPTY_FRAGMENT, routes: blackholes, remote, kept, forward, snat, conditions };
}

/** The group never empties while there is a peer at all. */
function bestRanked(gateways: readonly RemoteGateway[]): readonly RemoteGateway[] {
  const best = Math.min(...gateways.map(({ rank }) => rank));
  return gateways.filter(({ rank }) => rank === best);
}

function gatewayNexthops({ plan, lane }: RemoteGateway): readonly Nexthop[] {
  return plan.families.map(({ family, nexthopId }) => ({ kind: "device", id: nexthopId, family, device: lane }));
}

function groups({ carried, local }: Context, { member }: ClusterPlan, members: readonly RemoteGateway[]): Nexthop[] {
  if (members.length === 0) return [];
  return carried.map((family) => ({
    kind: "group",
    id: groupNexthopId(member.block, family),
    members: trimmed(members.flatMap(({ plan }) => nexthopIds(plan, family).map((id) => ({ id, weight: 1 })))),
    resilientBuckets: local.resilientBuckets,
  }));
}

function nexthopIds({ families }: GatewayPlan, family: Family): readonly number[] {
  return families.filter((each) => each.family === family).map(({ nexthopId }) => nexthopId);
}

function gatewayRoutes({ sources, local }: Context, { plan, peers }: RemoteGateway): readonly Route[] {
  if (sources === undefined) return [];
  const { table } = local.routing;
  const toGateway = plan.families.flatMap(({ family, nexthopId, own }) => {
    const target = { kind: "nexthop", id: nexthopId, source: sources.stable[family] } as const;
    return own.map((destination) => ({ table, destination, metric: bestMetric(family), target }));
  });
  // From our address on the same plane, so that the answer comes back by it.
  const toPlanes = peers.flatMap(({ plane: { use, device, addresses } }) =>
    addresses.map(({ family, destination }) => {
      const target = { kind: "device", device, source: sources[use.plane][family] } as const;
      return { table, destination, metric: bestMetric(family), target };
    }),
  );
  return [...toGateway, ...toPlanes];
}

function groupRoutes({ sources, local }: Context, { destinations }: ClusterPlan, block: number): readonly Route[] {
  if (sources === undefined) return [];
  const { table } = local.routing;
  return destinations.map(({ family, text }) => {
    const target = { kind: "nexthop", id: groupNexthopId(block, family), source: sources.stable[family] } as const;
    return { table, destination: text, metric: bestMetric(family), target };
  });
}

function pathConditions(id: string, gateways: readonly RemoteGateway[]): readonly Condition[] {
  const subject = `cluster ${id}`;
  if (gateways.length === 0) {
    const message = `no gateway of ${id} has published a key for the epoch yet: there is nothing to send to`;
    return [{ type: "NoGateway", subject, message }];
  }
  if (gateways.some(({ rank }) => rank !== NO_PATH)) return [];
  const message = `neither this gateway nor any of ${id} has an endpoint: give one an address, or name a transit cluster`;
  return [{ type: "NoPath", subject, message }];
}
