/** @module Traces, sent to a collector over OTLP: the same way from hub, agent and command line. */
import { context, propagation, trace } from "@opentelemetry/api";

export interface TracingOptions {
  /**
   * `http://collector:4318`; without one nothing is loaded, and the spans of the program cost next to nothing. Sampling
   * follows the parent, and `OTEL_TRACES_SAMPLER` where there is none.
   */
  readonly endpoint: string | undefined;
  readonly serviceName: string;
}

/**
 * Loads the SDK and registers it for the whole process; to be called once, before the first span. Disposing of it sends
 * what is left, and ends it.
 */
export async function startTracing({ endpoint, serviceName }: TracingOptions): Promise<AsyncDisposable> {
  if (endpoint === undefined) return new AsyncDisposableStack();
  const [{ NodeSDK }, { OTLPTraceExporter }] = await Promise.all([
    import("@opentelemetry/sdk-node"),
    import("@opentelemetry/exporter-trace-otlp-http"),
  ]);
  const sdk = new NodeSDK({
    serviceName,
    traceExporter: new OTLPTraceExporter({ url: new URL("/v1/traces", endpoint).href }),
    autoDetectResources: false, // would send host name and command line
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  return {
    async [Symbol.asyncDispose]() {
      await sdk.shutdown();
      for (const api of [trace, context, propagation]) api.disable();
    },
  };
}
