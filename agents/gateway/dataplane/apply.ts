/** @module Makes changes one by one, and says which were made and which were not. */
import { SpanwireError } from "@spanwire/core/errors";
import { applyChange, type Change } from "../kernel/change.ts";
import { describeChange } from "../kernel/describe.ts";
import type { Kernel } from "../kernel/port.ts";

export interface Applied {
  readonly done: readonly Change[];
  readonly failures: readonly Failure[];
}

export interface Failure {
  readonly change: Change;
  readonly error: SpanwireError;
}

/** What lets packets in from a remote gateway: never without the rules that say which. */
const OPENING: ReadonlySet<Change["kind"]> = new Set(["add-peer", "add-allowed-ips"]);

/**
 * Goes on after a failure: one prefix that the kernel refuses must not keep the others from their tunnels. Only where the
 * firewall could not be written, nothing more is opened. Anything but a SpanwireError is a bug and is thrown. Stops
 * between two changes when the signal aborts, which is always safe.
 */
export async function apply(kernel: Kernel, changes: readonly Change[], signal?: AbortSignal): Promise<Applied> {
  const done: Change[] = [];
  const failures: Failure[] = [];
  let isGuarded = true;
  for (const change of changes) {
    if (signal?.aborted) break;
    if (!isGuarded && OPENING.has(change.kind)) {
      failures.push({ change, error: heldBack(change) });
      continue;
    }
    try {
      await applyChange(kernel, change);
      done.push(change);
    } catch (error) {
      if (!(error instanceof SpanwireError)) throw error;
      failures.push({ change, error });
      if (change.kind === "replace-firewall") isGuarded = false;
    }
  }
  return { done, failures };
}

function heldBack(change: Change): SpanwireError {
  const message = `${describeChange(change)}: held back, because the firewall could not be written`;
  return new SpanwireError("kernel", message, { reason: "UNGUARDED", retryable: true });
}
