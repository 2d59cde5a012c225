/** @module How far this gateway is with the rotation, as its status says it. Pure. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { EpochView } from "@spanwire/core/rotation/epoch";
import type { PairPhase } from "@spanwire/core/rotation/pair";
import { PairPhase as Phase, type RotationProgressSchema } from "@spanwire/proto/agent";

export interface PairProgress {
  /** "us.0". */
  readonly gateway: string;
  readonly phase: PairPhase;
  readonly isAlive: boolean;
}

/** More would be for nobody to read, from each of a thousand gateways. */
const MOST_LISTED = 16;

/** Those that are alive come first: they are the ones that are waited for. */
export function rotationProgress(
  { state, generation }: EpochView,
  pairs: readonly PairProgress[],
): MessageInitShape<typeof RotationProgressSchema> {
  const isBehind = ({ phase }: PairProgress) => phase !== "done" && !(state === "open" && phase === "drained");
  const behind = pairs.filter(isBehind).sort((a, b) => Number(b.isAlive) - Number(a.isAlive) || compareNames(a, b));
  const counts = [...Map.groupBy(pairs, ({ phase }) => PHASES[phase])].sort(([a], [b]) => a - b);
  return {
    generation,
    phases: counts.map(([phase, { length }]) => ({ phase, pairs: length })),
    behind: behind.slice(0, MOST_LISTED).map(({ gateway, phase, isAlive }) => {
      const dot = gateway.lastIndexOf(".");
      const [clusterId, ordinal] = [gateway.slice(0, dot), Number(gateway.slice(dot + 1))];
      return { clusterId, ordinal, phase: PHASES[phase], alive: isAlive };
    }),
    unlisted: behind.slice(MOST_LISTED).filter(({ isAlive }) => isAlive).length,
  };
}

function compareNames(a: PairProgress, b: PairProgress): number {
  return a.gateway < b.gateway ? -1 : 1;
}

const PHASES = {
  waiting: Phase.WAITING,
  building: Phase.BUILDING,
  ready: Phase.READY,
  flipped: Phase.FLIPPED,
  drained: Phase.DRAINED,
  done: Phase.DONE,
} as const satisfies Readonly<Record<PairPhase, Phase>>;
