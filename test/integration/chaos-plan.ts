/** @module What goes wrong in one run, and when: drawn from a seed, so that a run that failed can be had again. */
import type { Random } from "@spanwire/core/time";

export type Step = { readonly atMs: number } & (Kill | Change);

type Kill =
  | { readonly kind: "kill-hub"; readonly downMs: number }
  | { readonly kind: "kill-nats" }
  /** `pick` chooses among the gateways that there are by then; `moves` has it come back at another address. */
  | { readonly kind: "kill-agent"; readonly pick: number; readonly downMs: number; readonly moves: boolean };

type Change =
  /** A first attempt that is cut off after `patienceMs`, answered or not, and then as many as it takes. */
  | { readonly kind: "join"; readonly pick: number; readonly patienceMs: number }
  /** Two that race for the ordinals of one cluster. */
  | { readonly kind: "join-two"; readonly pick: number; readonly patienceMs: number }
  | { readonly kind: "revoke"; readonly pick: number };

const WINDOW_MS = 500;
const DOWN_MS = 500;
const PATIENCE_MS = 1_000;
const FEWEST = 3;
const MOST = 6;

/** One to three kills, at once or apart, and one change of the mesh that they fall into, in the order of their times. */
export function planRun(random: Random, gateways: number): readonly Step[] {
  const at = () => Math.floor(random() * WINDOW_MS);
  const first = at();
  const kills: Step[] = [{ ...kill(random), atMs: first }];
  if (random() < 0.3) kills.push({ ...kill(random), atMs: first });
  if (random() < 0.2) kills.push({ ...kill(random), atMs: at() });
  return [...kills, { ...change(random, gateways), atMs: at() }].sort((a, b) => a.atMs - b.atMs);
}

export function describeSteps(steps: readonly Step[]): string {
  return steps.map((step) => JSON.stringify(step)).join("\n");
}

function kill(random: Random): Kill {
  const which = random();
  const downMs = Math.floor(random() * DOWN_MS);
  if (which < 0.3) return { kind: "kill-hub", downMs };
  if (which < 0.6) return { kind: "kill-nats" };
  return { kind: "kill-agent", downMs, pick: random(), moves: random() < 0.4 };
}

/** The mesh neither dies out nor outgrows the machine. */
function change(random: Random, gateways: number): Change {
  const pick = random();
  const patienceMs = Math.floor(random() * PATIENCE_MS);
  const isGrowing = gateways <= FEWEST || (gateways < MOST && random() < 0.5);
  if (!isGrowing) return { kind: "revoke", pick };
  return { kind: gateways + 2 <= MOST && random() < 0.3 ? "join-two" : "join", pick, patienceMs };
}
