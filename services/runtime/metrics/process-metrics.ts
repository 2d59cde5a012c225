/** @module What the process itself uses. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Meter } from "@opentelemetry/api";
import { createGauge } from "./instruments.ts";

const NANOSECONDS_PER_SECOND = 1e9;
const MICROSECONDS_PER_SECOND = 1e6;

/** Declares memory, processor time and event loop delay; `close` stops measuring the delay. */
export function declareProcessMetrics(meter: Meter): { close(): void } {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const one = (value: number) => [{ labels: {}, value }];

  createGauge(meter, { name: "process_resident_memory_bytes", help: "Memory in use", labels: [] }, () =>
    one(process.memoryUsage.rss()),
  );
  createGauge(meter, { name: "process_cpu_seconds", help: "Processor time used since the start", labels: [] }, () => {
    const { user, system } = process.cpuUsage();
    return one((user + system) / MICROSECONDS_PER_SECOND);
  });
  const help = "99th percentile of waiting for the event loop since the last scrape";
  createGauge(meter, { name: "process_event_loop_delay_seconds", help, labels: [] }, () => {
    const seconds = delay.percentile(99) / NANOSECONDS_PER_SECOND;
    delay.reset();
    return one(seconds);
  });
  return { close: () => delay.disable() };
}
