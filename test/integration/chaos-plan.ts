/** @module What goes wrong in one run, and when: drawn from a seed, so that a run that failed can be had again. */
import type { Random } from "@spanwire/core/time";

export type Step = { readonly afterMs: number } & (
  | { readonly kind: "kill-hub"; readonly downMs: number }
  | { readonly kind: "kill-nats" }
  /** `pick` chooses among the gateways that there are by then; `moves` has it come back at another address. */
  | { readonly kind: "kill-agent"; readonly pick: number; readonly downMs: number; readonly moves: boolean }
  /** A first attempt that is cut off after `patienceMs`, answered or not, and then as many as it takes. */
  | { readonly kind: "join"; readonly clusterId: string; readonly patienceMs: number }
  | { readonly kind: "revoke"; readonly pick: number }
);

/** What every run has beside its faults: two of them may race for the ordinals of one cluster. */
const JOINS = ["us", "plant", "asia", "us"];
const FAULTS = 14;
const GAP_MS = 500;
const DOWN_MS = 700;
const PATIENCE_MS = 1_200;

/** Joins and one revocation at random places among random faults. */
export function planChaos(random: Random): readonly Step[] {
  const steps = Array.from({ length: FAULTS }, () => fault(random));
  const below = (limit: number) => Math.floor(random() * limit);
  const at = () => below(steps.length + 1);
  steps.splice(at(), 0, { kind: "revoke", pick: random(), afterMs: below(GAP_MS) });
  const places = JOINS.map(at).sort((a, b) => b - a);
  for (const [index, clusterId] of JOINS.toReversed().entries()) {
    const join = { kind: "join", clusterId, patienceMs: below(PATIENCE_MS), afterMs: below(GAP_MS) } as const;
    steps.splice(places[index] ?? 0, 0, join);
  }
  return steps;
}

function fault(random: Random): Step {
  const afterMs = random() * GAP_MS;
  const downMs = random() * DOWN_MS;
  const which = random();
  if (which < 0.25) return { kind: "kill-hub", afterMs, downMs };
  if (which < 0.5) return { kind: "kill-nats", afterMs };
  return { kind: "kill-agent", afterMs, downMs, pick: random(), moves: random() < 0.3 };
}
