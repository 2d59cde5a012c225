/** @module What follows from block and ordinal of one remote gateway, before it has said anything. */
import { formatCidr, hostCidr } from "../address/cidr.ts";
import type { Family } from "../address/ip.ts";
import { type OverlayKind, overlayAddress } from "../address/overlay.ts";
import type { Context } from "./context.ts";
import type { Member } from "./member.ts";
import { gatewayNexthopId } from "./nexthop-id.ts";
import type { Plane } from "./state.ts";

export interface GatewayPlan {
  readonly ordinal: number;
  /** Its statements count only at this incarnation. */
  readonly incarnation: bigint;
  readonly families: readonly GatewayFamilyPlan[];
  /** By plane: its addresses there, its cluster's prefixes and those of clusters that it carries for us. Sorted. */
  readonly allowedIps: Readonly<Record<Plane, readonly string[]>>;
}

export interface GatewayFamilyPlan {
  readonly family: Family;
  readonly nexthopId: number;
  /** Routed to this gateway and no other: its stable and its service address. */
  readonly own: readonly string[];
  /** Routed to the lane of their plane, never flipped: probes use them. */
  readonly plane: Readonly<Record<Plane, string>>;
}

/** `reached` is what its cluster may be reached for, whichever gateway takes it. */
export function planGateways(context: Context, { block, gateways }: Member, reached: readonly string[]): GatewayPlan[] {
  return gateways.map(({ ordinal, incarnation }) => {
    const families = context.carried.map((family) => planFamily(context, block, ordinal, family));
    const allowedOn = (plane: Plane): readonly string[] =>
      [...families.flatMap((each) => [...each.own, each.plane[plane]]), ...reached].sort();
    return { ordinal, incarnation, families, allowedIps: { a: allowedOn("a"), b: allowedOn("b") } };
  });
}

function planFamily({ overlay }: Context, block: number, ordinal: number, family: Family): GatewayFamilyPlan {
  const text = (kind: OverlayKind): string =>
    formatCidr(hostCidr(overlayAddress(overlay, { index: block, kind, ordinal }, family)));
  return {
    family,
    nexthopId: gatewayNexthopId(block, ordinal, family),
    own: [text("stable"), text("service")],
    plane: { a: text("plane-a"), b: text("plane-b") },
  };
}
