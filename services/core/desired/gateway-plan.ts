/** @module What follows from block and ordinal of one remote gateway, before it has said anything. */
import { type Cidr, hostCidr } from "../address/cidr.ts";
import type { Family } from "../address/ip.ts";
import { type OverlayKind, overlayAddress } from "../address/overlay.ts";
import type { Context, PlaneInUse } from "./context.ts";
import { laneName, planeKind } from "./lane.ts";
import type { Member } from "./member.ts";
import { gatewayNexthopId } from "./nexthop-id.ts";
import { trimmed } from "./reuse.ts";

export interface GatewayPlan {
  readonly ordinal: number;
  /** Its statements count only at this incarnation. */
  readonly incarnation: bigint;
  readonly families: readonly FamilyPlan[];
  /** One for each plane in use, the active epoch's first. */
  readonly planes: readonly PlanePlan[];
}

export interface FamilyPlan {
  readonly family: Family;
  readonly nexthopId: number;
  /** Routed to this gateway and no other: its stable and its service address. */
  readonly own: readonly string[];
}

export interface PlanePlan {
  readonly use: PlaneInUse;
  readonly device: string;
  /** Its address on the plane, by family: routed to the device, never flipped, for probes. */
  readonly addresses: readonly { readonly family: Family; readonly destination: string }[];
  /** Its own addresses, its cluster's prefixes and those of clusters that it carries for us. Sorted. */
  readonly allowedIps: readonly string[];
}

/** `reached` is what its cluster may be reached for, whichever gateway takes it. */
export function planGateways(context: Context, member: Member, reached: readonly Cidr[]): readonly GatewayPlan[] {
  const { carried, planes, overlay } = context;
  return member.gateways.map(({ ordinal, incarnation }) => {
    const host = (kind: OverlayKind, family: Family): string =>
      hostCidr(overlayAddress(overlay, { index: member.block, kind, ordinal }, family)).text;
    const families = carried.map((family) => ({
      family,
      nexthopId: gatewayNexthopId(member.block, ordinal, family),
      own: [host("stable", family), host("service", family)],
    }));
    const everywhere = [...families.flatMap(({ own }) => own), ...reached.map(({ text }) => text)];
    const planOn = (use: PlaneInUse): PlanePlan => {
      const addresses = carried.map((family) => ({ family, destination: host(planeKind(use.plane), family) }));
      const allowedIps = [...addresses.map(({ destination }) => destination), ...everywhere].sort();
      return { use, device: laneName(use.plane, ordinal), addresses, allowedIps: trimmed(allowedIps) };
    };
    return { ordinal, incarnation, families, planes: planes.map(planOn) };
  });
}
