/** @module What can be seen of the hub from outside: metrics, traces, probes. */
import { createChecks } from "@spanwire/runtime/health/checks";
import { serveHealth } from "@spanwire/runtime/health/serve-health";
import { createMetrics, type Metrics } from "@spanwire/runtime/metrics/create-metrics";
import { declareProcessMetrics } from "@spanwire/runtime/metrics/process-metrics";
import { startTracing } from "@spanwire/runtime/tracing/start-tracing";
import type { HubConfig } from "./config.ts";

/** Starts metrics and traces, as far as they are configured; they end with `open`. */
export async function openTelemetry(config: HubConfig, open: AsyncDisposableStack): Promise<Metrics> {
  const { metricsPort, tracesEndpoint: endpoint } = config;
  open.use(await startTracing({ endpoint, serviceName: "spanwire-hub" }));
  const metrics = await createMetrics({ enabled: metricsPort !== undefined });
  open.defer(() => metrics.close());
  declareProcessMetrics(metrics.meter);
  return metrics;
}

interface HealthParts {
  readonly isReady: () => boolean;
  readonly metrics: Metrics;
  readonly open: AsyncDisposableStack;
}

/** Serves probes and metrics where a port is configured; gives the port. */
export async function openHealth(
  { listen: host, metricsPort: port }: HubConfig,
  { isReady, metrics, open }: HealthParts,
): Promise<number | undefined> {
  if (port === undefined) return undefined;
  const ready = createChecks();
  ready.add("store", () => (isReady() ? undefined : "the store in NATS cannot be reached"));
  const health = await serveHealth({ address: { host, port }, live: createChecks(), ready, metrics });
  open.defer(() => health.close());
  return health.port;
}
