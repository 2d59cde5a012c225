/** @module The leader's next step: which record it writes, or whom it waits for. Level-triggered, so any hub may go on. */
import { abort, close, type EpochView, openNext, settle } from "./epoch.ts";
import type { PairPhase } from "./pair.ts";

export interface MeshView {
  readonly epoch: EpochView;
  /** Gateways that somebody has heard of lately. The others are waited for by nobody and come back by themselves. */
  readonly live: ReadonlySet<string>;
  readonly reports: ReadonlyMap<string, GatewayReport>;
  readonly request: "open" | "abort" | undefined;
}

/** The last one that a gateway signed. */
export interface GatewayReport {
  /** Of the epoch record that it obeys. */
  readonly generation: bigint;
  /** Whether it has stated a key for the epoch on which all should send. */
  readonly hasKey: boolean;
  /** Its pairs that are not done, by the other gateway. */
  readonly behind: ReadonlyMap<string, PairPhase>;
  /** More of them, which the report has no room for. */
  readonly unlisted: number;
}

export type Step =
  | { readonly kind: "write"; readonly epoch: EpochView }
  | { readonly kind: "wait"; readonly for: readonly Laggard[] }
  | { readonly kind: "rest" };

export interface Laggard {
  readonly gateway: string;
  /** Undefined while the gateway itself has not reported this step, or lacks the key for it. */
  readonly pair: { readonly with: string; readonly phase: PairPhase } | undefined;
}

/** A second request while a rotation runs waits until it has settled. */
export function decideStep(view: MeshView): Step {
  const { epoch, request } = view;
  switch (epoch.state) {
    case "open":
      return request === "abort" ? write(abort(epoch)) : whenAll(view, ["drained", "done"], close);
    case "closing":
      return whenAll(view, ["done"], settle);
    case "steady":
    case "aborted":
      return request === "open" ? whenAll(view, ["done"], openNext) : { kind: "rest" };
  }
}

/**
 * Opening waits as well: the idle plane is taken from whoever still lives on its former epoch.
 */
function whenAll(
  { epoch, live, reports }: MeshView,
  enough: readonly PairPhase[],
  next: (epoch: EpochView) => EpochView | undefined,
): Step {
  const laggards = [...live].sort().flatMap((gateway): readonly Laggard[] => {
    const report = reports.get(gateway);
    if (report === undefined || report.generation < epoch.generation || !report.hasKey)
      return [{ gateway, pair: undefined }];
    const behind = [...report.behind]
      .filter(([other, phase]) => live.has(other) && !enough.includes(phase))
      .map(([other, phase]) => ({ gateway, pair: { with: other, phase } }));
    return behind.length === 0 && report.unlisted > 0 ? [{ gateway, pair: undefined }] : behind;
  });
  return laggards.length > 0 ? { kind: "wait", for: laggards } : write(next(epoch));
}

function write(epoch: EpochView | undefined): Step {
  return epoch === undefined ? { kind: "rest" } : { kind: "write", epoch };
}
