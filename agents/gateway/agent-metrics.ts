/** @module What Prometheus reads of an agent. */
import type { Meter } from "@opentelemetry/api";
import { createGauge } from "@spanwire/runtime/metrics/instruments";
import type { AgentState } from "./agent-options.ts";

export function declareAgentMetrics(meter: Meter, read: () => AgentState): void {
  const one = (name: string, help: string, value: (state: AgentState) => number) =>
    createGauge(meter, { name, help, labels: [] }, () => [{ labels: {}, value: value(read()) }]);

  one("spanwire_agent_map_sequence", "Up to where the map was heard", ({ position }) => Number(position.sequence));
  one("spanwire_agent_map_lineage", "Of the store that the map comes from", ({ position }) => Number(position.lineage));
  one("spanwire_agent_map_records", "Records held, tombstones included", ({ records }) => records);
  one("spanwire_agent_connected", "Whether there is a connection to NATS", ({ connected }) => (connected ? 1 : 0));
  one("spanwire_agent_ready", "Whether the kernel was brought to the map", ({ notReady }) =>
    notReady === undefined ? 1 : 0,
  );
  one("spanwire_agent_reconciles", "Steps of the data plane since the start", ({ reconciles }) => reconciles);
  one(
    "spanwire_agent_kernel_writes",
    "Changes written to the kernel since the start",
    ({ kernelWrites }) => kernelWrites,
  );
  one(
    "spanwire_agent_failovers",
    "Times that a cluster's traffic was moved to its other gateways",
    (state) => state.failovers,
  );
  one("spanwire_agent_probes_sent", "Probes sent inside the tunnels", ({ probes }) => probes.sent);
  one("spanwire_agent_probes_received", "Probes received", ({ probes }) => probes.received);
  one(
    "spanwire_agent_probe_failures",
    "Probes and their sockets that the kernel refused",
    (state) => state.probes.failures,
  );

  const gateways = {
    name: "spanwire_agent_remote_gateways",
    help: "Remote gateways, by what their probes show",
    labels: ["verdict"],
  } as const;
  createGauge(meter, gateways, () => [...read().verdicts].map(([verdict, value]) => ({ labels: { verdict }, value })));

  const conditions = {
    name: "spanwire_agent_conditions",
    help: "What an operator should know, by type",
    labels: ["type"],
  } as const;
  createGauge(meter, conditions, () => {
    const byType = Map.groupBy(read().conditions, ({ type }) => type);
    return [...byType].map(([type, { length }]) => ({ labels: { type }, value: length }));
  });
}
