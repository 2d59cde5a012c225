/** @module Metrics of a process, as text that Prometheus reads. Off costs neither memory nor time to load. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createNoopMeter, type Meter } from "@opentelemetry/api";

export interface Metrics {
  /** What instruments are made of; one that does nothing where metrics are off. */
  readonly meter: Meter;
  /** Answers a scrape; undefined where metrics are off. */
  readonly handleScrape: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  close(): Promise<void>;
}

/** Loads the SDK and makes a meter, or with `enabled: false` one that does nothing. */
export async function createMetrics({ enabled }: { readonly enabled: boolean }): Promise<Metrics> {
  if (!enabled) return { meter: createNoopMeter(), handleScrape: undefined, close: async () => {} };
  const [{ MeterProvider }, { PrometheusExporter }] = await Promise.all([
    import("@opentelemetry/sdk-metrics"),
    import("@opentelemetry/exporter-prometheus"),
  ]);
  // Its own server stays off: one port answers scrapes and probes. The target's description would hold the command line.
  const exporter = new PrometheusExporter({
    preventServerStart: true,
    withoutTargetInfo: true,
    withoutScopeInfo: true,
  });
  const provider = new MeterProvider({ readers: [exporter] });
  return {
    meter: provider.getMeter("spanwire"),
    handleScrape: (request, response) => exporter.getMetricsRequestHandler(request, response),
    close: () => provider.shutdown(),
  };
}
