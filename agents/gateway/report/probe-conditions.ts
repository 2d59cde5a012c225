/** @module What an operator should know of probes. Pure. */
import type { Liveness } from "@spanwire/core/desired/local-facts";
import type { ReportedCondition } from "./map-conditions.ts";

export interface ProbeFacts {
  readonly liveness: Liveness;
  /** What keeps probes from being sent; undefined when nothing does. */
  readonly problem: string | undefined;
}

/** Sorted by gateway. */
export function probeConditions({ liveness, problem }: ProbeFacts): readonly ReportedCondition[] {
  const silent = [...liveness].filter(([, { down }]) => down).map(([gateway]) => gateway);
  return [
    ...(problem === undefined
      ? []
      : [{ type: "NoProbes", subject: "probes", message: `no probes are sent: ${problem}` }]),
    ...silent.sort().map((gateway) => ({
      type: "GatewaySilent",
      subject: `gateway ${gateway}`,
      message: `no probe of ${gateway} comes through the tunnel and back: its host, its agent or the way there is down, or a firewall drops them`,
    })),
  ];
}
