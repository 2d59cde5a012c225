/** @module Stop 7: desired and observed -> the changes that are missing, in the order in which they must be made. */
import type { Fragment } from "@spanwire/core/desired/desired";
import type { Firewall, KernelState } from "@spanwire/core/desired/state";
import type { Change } from "../kernel/change.ts";
import { diffDevices } from "./diff-devices.ts";
import { diffFirewall, type PresentFirewall, presentFirewall } from "./diff-firewall.ts";
import { diffNexthops } from "./diff-nexthops.ts";
import { diffPeers, type PresentPeer } from "./diff-peers.ts";
import { diffRoutes, diffRules } from "./diff-routes.ts";
import type { Observed } from "./observe.ts";
import { inOrder, type Planned } from "./step.ts";

/** Lists every change that turns `observed` into `desired`. Equal states give none. */
export function diff(
  desired: KernelState,
  observed: Observed,
  firewall: PresentFirewall = presentFirewall(desired.firewall, observed.firewall),
): Change[] {
  const { planned: nexthops, remade } = diffNexthops(desired.nexthops, observed.network.nexthops);
  return inOrder([
    ...diffFirewall(desired.firewall, firewall),
    ...diffDevices(desired, observed),
    ...diffPeers(desired.peers, presentPeers(desired, observed)),
    ...nexthops,
    ...diffRoutes(desired.routes, observed.network.routes, remade),
    ...diffRules(desired.rules, observed.network.rules),
  ]);
}

/** One piece of the wish: what the kernel was brought to, and what it should be now. */
export interface FragmentChange {
  readonly former: Fragment;
  readonly next: Fragment;
}

/**
 * Lists the changes for some clusters only, from the former wish to the present one, without looking at the kernel.
 * `firewall` is the whole of it, the same object where no fragment's part of it changed. Undefined when that is not
 * enough to know: a nexthop that has to be made anew takes along the routes of other clusters.
 */
export function diffFragments(
  fragments: readonly FragmentChange[],
  firewall: { readonly former: Firewall | undefined; readonly next: Firewall | undefined },
): Change[] | undefined {
  const peers = touched(fragments, "peers");
  const nexthops = touched(fragments, "nexthops");
  const routes = touched(fragments, "routes");
  const { planned, remade } = diffNexthops(nexthops.next, nexthops.former);
  if (remade.size > 0) return undefined;
  return inOrder([
    ...planFirewall(firewall),
    // Whether a peer has a session is not known here, so its preshared key stays.
    ...diffPeers(
      peers.next,
      peers.former.map((peer) => ({ ...peer, live: true })),
    ),
    ...planned,
    ...diffRoutes(routes.next, routes.former),
  ]);
}

/** A list that is the same object is equal: most changes touch one list of one cluster. */
function touched<K extends "peers" | "nexthops" | "routes">(fragments: readonly FragmentChange[], list: K) {
  const changed = fragments.filter(({ former, next }) => former[list] !== next[list]);
  return {
    former: changed.flatMap(({ former }): readonly Fragment[K][number][] => former[list]),
    next: changed.flatMap(({ next }): readonly Fragment[K][number][] => next[list]),
  };
}

function planFirewall({ former, next }: { former: Firewall | undefined; next: Firewall | undefined }): Planned[] {
  if (former === next) return [];
  return diffFirewall(next, former === undefined ? { kind: "unknown" } : { kind: "known", firewall: former });
}

/** Peers of devices that stay: those of the others go with them. */
function presentPeers({ links }: KernelState, { devices }: Observed): PresentPeer[] {
  return links.flatMap(({ name: device }) =>
    (devices.get(device)?.peers ?? []).map((peer) => ({ ...peer, device, live: peer.lastHandshakeMs !== undefined })),
  );
}
