/** @module Ends a process in good order: what was opened last is closed first, and within a time limit. */
import type { Logger } from "../log/logger.ts";

export interface ShutdownOptions {
  readonly log: Logger;
  /** For all closers together. */
  readonly deadlineMs?: number;
}

/** Ends something; `signal` aborts when the time is up, after which nobody waits for it any more. */
export type Closer = (signal: AbortSignal) => Promise<void> | void;

export interface Shutdown {
  /** Aborts when the process is asked to end. Loops and calls end by it; servers and stores need a closer. */
  readonly signal: AbortSignal;
  /** Registers what to close; the last one registered is closed first. */
  onClose(name: string, close: Closer): void;
  /** Asks to end, as a signal of the system does. Idempotent. */
  begin(reason: string): void;
  /**
   * Runs the closers once the signal has aborted, one after another. A closer that fails or is late is logged, and the
   * next one runs. Resolves to whether all went well.
   */
  finish(): Promise<boolean>;
}

const DEADLINE_MS = 10_000;

export function createShutdown({ log, deadlineMs = DEADLINE_MS }: ShutdownOptions): Shutdown {
  const controller = new AbortController();
  const closers: { readonly name: string; readonly close: Closer }[] = [];
  return {
    signal: controller.signal,
    onClose: (name, close) => closers.push({ name, close }),
    begin(reason) {
      if (controller.signal.aborted) return;
      log.info({ reason }, "shutting down");
      controller.abort(new Error(`shutting down: ${reason}`));
    },
    async finish() {
      const late = AbortSignal.timeout(deadlineMs);
      let isClean = true;
      for (const { name, close } of closers.reverse()) {
        try {
          await orLate(close, late);
        } catch (err) {
          log.warn({ closer: name, err }, "closing failed");
          isClean = false;
        }
      }
      return isClean;
    },
  };
}

/** A closer that is reached after the deadline still runs up to its first wait: it may only have to let go. */
async function orLate(close: Closer, late: AbortSignal): Promise<void> {
  const lateness = Promise.withResolvers<never>();
  const reject = () => lateness.reject(new Error("not closed in time"));
  late.addEventListener("abort", reject, { once: true });
  if (late.aborted) reject();
  try {
    await Promise.race([Promise.resolve(close(late)), lateness.promise]);
  } finally {
    late.removeEventListener("abort", reject);
  }
}
