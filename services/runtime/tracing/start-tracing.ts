/** @module Traces, sent to a collector over OTLP. Not started, the spans of the program cost next to nothing. */
import { context, propagation, trace } from "@opentelemetry/api";

export interface TracingOptions {
  /** `http://collector:4318`; sampling follows the parent, and `OTEL_TRACES_SAMPLER` where there is none. */
  readonly endpoint: string;
  readonly serviceName: string;
}

export interface Tracing {
  /** Sends what is left, and ends. */
  close(): Promise<void>;
}

/** Loads the SDK and registers it for the whole process; to be called once, before the first span. */
export async function startTracing({ endpoint, serviceName }: TracingOptions): Promise<Tracing> {
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
    async close() {
      await sdk.shutdown();
      for (const api of [trace, context, propagation]) api.disable();
    },
  };
}
