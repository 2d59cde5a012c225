/** @module How long calls take and how they end. */
import type { Meter } from "@opentelemetry/api";
import { SpanwireError } from "@spanwire/core/errors";
import { createHistogram } from "../metrics/instruments.ts";
import type { Interceptor } from "./interceptor.ts";

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Makes an interceptor, best the outermost, that records each call by method and outcome; streams are not timed. */
export function measureCalls(meter: Meter): Interceptor {
  const seconds = createHistogram(meter, {
    name: "spanwire_rpc_seconds",
    help: "Time to answer a call, by method and outcome",
    labels: ["method", "outcome"],
    buckets: BUCKETS,
  });
  return async ({ method }, next) => {
    if (method.methodKind !== "unary") return next();
    const start = performance.now();
    let outcome = "ok";
    try {
      await next();
    } catch (error) {
      outcome = error instanceof SpanwireError ? error.code : "internal";
      throw error;
    } finally {
      seconds.record(
        { method: `${method.parent.typeName}/${method.name}`, outcome },
        (performance.now() - start) / 1000,
      );
    }
  };
}
