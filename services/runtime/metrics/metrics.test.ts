import { createServer } from "node:http";
import { expect, test } from "vitest";
import { createMetrics, type Metrics } from "./create-metrics.ts";
import { createCounter, createGauge, createHistogram } from "./instruments.ts";
import { declareProcessMetrics } from "./process-metrics.ts";

test("counters, distributions and gauges read as Prometheus text", async () => {
  const metrics = await createMetrics({ enabled: true });
  const { meter } = metrics;
  const registrations = createCounter(meter, {
    name: "spanwire_registrations",
    help: "Registrations",
    labels: ["outcome"],
  });
  const seconds = createHistogram(meter, {
    name: "spanwire_apply_seconds",
    help: "Time to apply a change",
    labels: ["step"],
    buckets: [0.1, 1],
  });
  let agents = 3;
  createGauge(meter, { name: "spanwire_agents", help: "Connected agents", labels: ["cluster"] }, () => [
    { labels: { cluster: "eu" }, value: agents },
  ]);
  registrations.add({ outcome: "admitted" });
  registrations.add({ outcome: "refused" }, 2);
  seconds.record({ step: "kernel" }, 0.5);
  agents = 4;
  expect(await scrape(metrics)).toMatchInlineSnapshot(`
    "# HELP spanwire_registrations_total Registrations
    # TYPE spanwire_registrations_total counter
    spanwire_registrations_total{outcome="admitted"} 1
    spanwire_registrations_total{outcome="refused"} 2
    # HELP spanwire_apply_seconds Time to apply a change
    # TYPE spanwire_apply_seconds histogram
    spanwire_apply_seconds_count{step="kernel"} 1
    spanwire_apply_seconds_sum{step="kernel"} 0.5
    spanwire_apply_seconds_bucket{step="kernel",le="0.1"} 0
    spanwire_apply_seconds_bucket{step="kernel",le="1"} 1
    spanwire_apply_seconds_bucket{step="kernel",le="+Inf"} 1
    # HELP spanwire_agents Connected agents
    # TYPE spanwire_agents gauge
    spanwire_agents{cluster="eu"} 4
    "
  `);
  await metrics.close();
});

test("off: instruments can be used and do nothing", async () => {
  const metrics = await createMetrics({ enabled: false });
  createCounter(metrics.meter, { name: "a", help: "a", labels: [] }).add({});
  createHistogram(metrics.meter, { name: "b", help: "b", labels: [], buckets: [1] }).record({}, 1);
  expect(metrics.handleScrape).toBeUndefined();
  await metrics.close();
});

test("the process says what it uses, and nothing of its command line", async () => {
  const metrics = await createMetrics({ enabled: true });
  declareProcessMetrics(metrics.meter);
  const text = await scrape(metrics);
  expect(Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(10_000_000);
  expect(text).toMatch(/^process_cpu_seconds [\d.]+$/m);
  expect(text).toMatch(/^process_event_loop_utilization [\d.e-]+$/m);
  expect(text).not.toContain(process.argv[1]);
  await metrics.close();
});

async function scrape({ handleScrape }: Metrics): Promise<string> {
  const server = createServer((request, response) => handleScrape?.(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  await new Promise((resolve) => server.close(resolve));
  return text;
}
