/** @module When a call ends before its handler is done. */
import { SpanwireError } from "@spanwire/core/errors";
import type { ServerCall } from "./peer.ts";

export interface CallSignal {
  readonly signal: AbortSignal;
  /** Ends the call with this error, whatever its handler is at. */
  end(error: SpanwireError): void;
  /** Says that the handler is done: nothing aborts any more, no timer is left. */
  finish(): void;
}

export interface CallSignalOptions {
  /** Limits a call that has no deadline of its own; undefined does not. */
  readonly timeoutMs: number | undefined;
  /** Ends the call when the server closes; undefined lets it finish. */
  readonly closing: AbortSignal | undefined;
}

/** Follows a call: its signal aborts when the caller is gone, the deadline has passed, or the server closes. */
export function watchCall(call: ServerCall, { timeoutMs, closing }: CallSignalOptions): CallSignal {
  const controller = new AbortController();
  const timer =
    deadlineOf(call) === undefined && timeoutMs !== undefined ? setTimeout(onTimeout, timeoutMs) : undefined;
  // grpc-js also says "cancelled" at the end of each call, and after it has answered DEADLINE_EXCEEDED by itself.
  call.once("cancelled", onCancelled);
  closing?.addEventListener("abort", onClosing, { once: true });
  if (closing?.aborted) onClosing();

  function onTimeout(): void {
    controller.abort(deadlineExceeded());
  }
  function onCancelled(): void {
    const late = Date.now() >= (deadlineOf(call) ?? Number.POSITIVE_INFINITY);
    controller.abort(
      late ? deadlineExceeded() : new SpanwireError("unavailable", "cancelled", { reason: "CANCELLED" }),
    );
  }
  function onClosing(): void {
    controller.abort(new SpanwireError("unavailable", "the server is closing", { reason: "SERVER_CLOSING" }));
  }
  return {
    signal: controller.signal,
    end: (error) => controller.abort(error),
    finish: () => {
      clearTimeout(timer);
      call.off("cancelled", onCancelled);
      closing?.removeEventListener("abort", onClosing);
    },
  };
}

/** Milliseconds since the Unix epoch, or undefined where the caller set none. */
export function deadlineOf(call: ServerCall): number | undefined {
  const deadline = Number(call.getDeadline());
  return Number.isFinite(deadline) ? deadline : undefined;
}

function deadlineExceeded(): SpanwireError {
  return new SpanwireError("unavailable", "deadline exceeded", { reason: "DEADLINE_EXCEEDED" });
}
