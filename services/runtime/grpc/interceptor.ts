/** @module What happens around every call: authentication, limits, measurement. */
import type { DescMethod } from "@bufbuild/protobuf";
import type { SpanwireError } from "@spanwire/core/errors";
import type { CallContext } from "./context.ts";

export interface Call {
  readonly method: DescMethod;
  readonly context: CallContext;
  /** Ends the call with this error, also in the middle of a stream. */
  end(error: SpanwireError): void;
}

/**
 * Wraps a call. `next` runs the rest of it, and resolves when the answer is ready, for a stream when the last message
 * has been sent. To refuse, throw a `SpanwireError` before `next`: the request has not been decoded yet.
 */
export type Interceptor = (call: Call, next: () => Promise<void>) => Promise<void>;

/** Runs `last` inside all interceptors, the first one outermost. */
export function intercept(interceptors: readonly Interceptor[], call: Call, last: () => Promise<void>): Promise<void> {
  const all = interceptors.reduceRight<() => Promise<void>>((next, interceptor) => () => interceptor(call, next), last);
  return all();
}
