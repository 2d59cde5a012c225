/**
 * @module The part of a remote cluster's wish that follows from admissions and policy alone. It stays the same object
 * while its gateways say this and that, which is what makes one changed statement cheap.
 */
import { type Cidr, containsCidr, subtract } from "../address/cidr.ts";
import { ownedRanges, throughRanges } from "../address/ranges.ts";
import { isDirect, type PairVerdict } from "../policy/pair.ts";
import type { Condition } from "./condition.ts";
import type { Context } from "./context.ts";
import { forwardRules, snatRules } from "./crossing.ts";
import { type GatewayPlan, planGateways } from "./gateway-plan.ts";
import type { Member } from "./member.ts";
import { trimmed } from "./reuse.ts";
import { isKept, keptNetworks, notCarriedConditions, shadowConditions } from "./shadow.ts";
import type { Firewall, ForwardRule, Route } from "./state.ts";

export interface ClusterPlan {
  readonly member: Member;
  readonly verdict: PairVerdict;
  /** There whatever happens to the tunnels: nothing for the cluster ever leaves in clear. */
  readonly blackholes: readonly Route[];
  readonly remote: readonly string[];
  readonly kept: Firewall["kept"];
  readonly forward: readonly ForwardRule[];
  readonly snat: Firewall["snat"];
  /** What routes to the cluster's group, or to that of the cluster that carries the pair. */
  readonly destinations: readonly Cidr[];
  /** Those that we build tunnels to: none where the pair is not linked or goes through another cluster. */
  readonly gateways: readonly GatewayPlan[];
  readonly conditions: readonly Condition[];
}

export interface PlanInputs {
  readonly member: Member;
  readonly verdict: PairVerdict;
  /** Clusters that this one carries for us. */
  readonly carries: readonly Member[];
}

/** Below every other route: `ip` prints it as "metric 4096". */
export const WORST_METRIC = 4096;

export function planCluster(context: Context, { member, verdict, carries }: PlanInputs): ClusterPlan {
  const { overlay, carried, routable, kept } = context;
  const owned = ownedRanges(overlay, member);
  const ours = member.prefixes.filter(({ family }) => carried.includes(family));
  const beyond = carries.flatMap((each) => throughRanges(overlay, each, carried));
  const routed = !verdict.linked ? [] : isDirect(verdict) ? ours : throughRanges(overlay, member, carried);
  return {
    member,
    verdict,
    blackholes: owned.filter(({ family }) => routable.includes(family)).map((prefix) => blackhole(context, prefix)),
    remote: owned.flatMap((prefix) => guarded(prefix, kept)).map(({ text }) => text),
    kept: trimmed(owned.flatMap((prefix) => keptNetworks(context, prefix))),
    forward: forwardRules(context, { id: member.id, owned }, verdict),
    snat: verdict.linked ? snatRules(context, owned) : NONE,
    destinations: trimmed(routed.filter((prefix) => !isKept(context, prefix))),
    gateways: isDirect(verdict) ? planGateways(context, member, [...ours, ...beyond]) : NONE,
    conditions: [
      ...member.conditions,
      ...shadowConditions(context, member),
      ...(verdict.linked ? notCarriedConditions(context, member) : []),
    ],
  };
}

/** What stays local is not remote: without the holes the guard would cut the host off its own network. */
function guarded(prefix: Cidr, kept: readonly Cidr[]): readonly Cidr[] {
  return subtract(
    prefix,
    kept.filter((local) => containsCidr(prefix, local)),
  );
}

const NONE: readonly never[] = [];
const BLACKHOLE: Route["target"] = { kind: "blackhole" };

function blackhole({ local }: Context, { text }: Cidr): Route {
  return { table: local.routing.table, destination: text, metric: WORST_METRIC, target: BLACKHOLE };
}
