/** @module Takes everything of ours out of the kernel, and nothing else. */
import { STABLE_DEVICE } from "@spanwire/core/desired/lane";
import { type Change, removeLink } from "../kernel/change.ts";
import type { Kernel } from "../kernel/port.ts";
import { type Applied, apply } from "./apply.ts";
import { type Observed, observe } from "./observe.ts";

/**
 * Removes what is ours; run again it finds nothing. The firewall goes last, so that nothing leaves in clear while the
 * rest goes, and stays when anything else could not be removed.
 */
export async function takeDown(kernel: Kernel, signal?: AbortSignal): Promise<Applied> {
  const observed = await observe(kernel);
  const rest = await apply(kernel, removals(observed), signal);
  if (rest.failures.length > 0 || signal?.aborted || observed.firewall.kind === "absent") return rest;
  const last = await apply(kernel, [{ kind: "remove-firewall" }], signal);
  return { done: [...rest.done, ...last.done], failures: last.failures };
}

/** Lists them in order: what uses comes before what is used, and what protects comes after what it protects. */
function removals({ network }: Observed): Change[] {
  const { links, nexthops, routes, rules } = network;
  const removeRoutes = (...kinds: readonly string[]): Change[] =>
    routes.filter(({ target }) => kinds.includes(target.kind)).map((route) => ({ kind: "remove-route", route }));
  const removeNexthops = (kind: "group" | "device"): Change[] =>
    nexthops.filter((nexthop) => nexthop.kind === kind).map(({ id }) => ({ kind: "remove-nexthop", id }));
  return [
    ...removeRoutes("nexthop", "device"),
    // A blackhole may cover a local network, which its throw route keeps reachable.
    ...removeRoutes("blackhole"),
    ...removeRoutes("throw"),
    ...rules.map((rule): Change => ({ kind: "remove-rule", rule })),
    ...removeNexthops("group"),
    ...removeNexthops("device"),
    ...links.filter(({ kind }) => kind === "wireguard").map(removeLink),
    ...links.filter(({ kind, name }) => kind === "dummy" && name === STABLE_DEVICE).map(removeLink),
  ];
}
