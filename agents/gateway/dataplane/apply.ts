/** @module Makes changes one by one, and says which were made and which were not. */
import { SpanwireError } from "@spanwire/core/errors";
import { applyChange, type Change } from "../kernel/change.ts";
import type { Kernel } from "../kernel/port.ts";

export interface Applied {
  readonly done: readonly Change[];
  readonly failures: readonly Failure[];
}

export interface Failure {
  readonly change: Change;
  readonly error: SpanwireError;
}

/**
 * Goes on after a failure: one prefix that the kernel refuses must not keep the others from their tunnels. Anything but
 * a SpanwireError is a bug and is thrown. Stops between two changes when the signal aborts, which is always safe.
 */
export async function apply(kernel: Kernel, changes: readonly Change[], signal?: AbortSignal): Promise<Applied> {
  const done: Change[] = [];
  const failures: Failure[] = [];
  for (const change of changes) {
    if (signal?.aborted) break;
    try {
      await applyChange(kernel, change);
      done.push(change);
    } catch (error) {
      if (!(error instanceof SpanwireError)) throw error;
      failures.push({ change, error });
    }
  }
  return { done, failures };
}
