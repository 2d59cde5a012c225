/** @module What the process itself uses. */
import { performance } from "node:perf_hooks";
import type { Meter } from "@opentelemetry/api";
import { createGauge } from "./instruments.ts";

const MICROSECONDS_PER_SECOND = 1e6;

/**
 * Declares memory, processor time and how busy the event loop is. All are looked up at a scrape: a histogram of the
 * loop's delay would need a timer that wakes a process at rest many times a second.
 */
export function declareProcessMetrics(meter: Meter): void {
  const one = (value: number) => [{ labels: {}, value }];
  let scraped = performance.eventLoopUtilization();

  createGauge(meter, { name: "process_resident_memory_bytes", help: "Memory in use", labels: [] }, () =>
    one(process.memoryUsage.rss()),
  );
  createGauge(meter, { name: "process_cpu_seconds", help: "Processor time used since the start", labels: [] }, () => {
    const { user, system } = process.cpuUsage();
    return one((user + system) / MICROSECONDS_PER_SECOND);
  });
  const help = "Share of the time since the last scrape in which the event loop was busy";
  createGauge(meter, { name: "process_event_loop_utilization", help, labels: [] }, () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, scraped);
    scraped = now;
    return one(utilization);
  });
}
