/** @module The boot guard: what keeps packets from leaving in clear, from the stored map, before any network is up. */
import { flatten } from "@spanwire/core/desired/desired";
import type { KernelState } from "@spanwire/core/desired/state";
import { type Applied, apply } from "./dataplane/apply.ts";
import type { Change } from "./kernel/change.ts";
import type { Kernel } from "./kernel/port.ts";
import type { Planner } from "./planner.ts";

/**
 * Loads firewall, blackholes and rule; lanes and addresses are the agent's. Does nothing where a firewall of ours is
 * loaded, because then an agent runs or has run, and knows better; or where nothing was ever stored.
 */
export async function raiseGuard(kernel: Kernel, planner: Planner): Promise<Applied> {
  const nothing = { done: [], failures: [] };
  if ((await kernel.firewall.observe()).kind !== "absent") return nothing;
  const planned = planner.plan("all");
  return planned === undefined ? nothing : apply(kernel, guardChanges(flatten(planned.compiled.desired)));
}

/** The firewall first: it alone keeps everything in. `throw` before `blackhole`: a prefix may cover a local network. */
function guardChanges({ firewall, routes, rules }: KernelState): Change[] {
  const routesTo = (kind: "throw" | "blackhole"): Change[] =>
    routes.filter(({ target }) => target.kind === kind).map((route) => ({ kind: "replace-route", route }));
  return [
    ...(firewall === undefined ? [] : [{ kind: "replace-firewall", firewall } as const]),
    ...routesTo("throw"),
    ...routesTo("blackhole"),
    ...rules.map((rule): Change => ({ kind: "add-rule", rule })),
  ];
}
