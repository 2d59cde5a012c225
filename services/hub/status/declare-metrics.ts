/** @module The mesh in numbers, for whoever scrapes this hub. */
import type { Meter } from "@opentelemetry/api";
import { createGauge } from "@spanwire/runtime/metrics/instruments";
import { findUnreachable, type MeshFacts } from "./describe-mesh.ts";

export interface HubFacts {
  readonly mesh: () => MeshFacts;
  readonly isLeader: () => boolean;
}

export function declareMeshMetrics(meter: Meter, { mesh, isLeader }: HubFacts): void {
  const one = (value: number) => [{ labels: {}, value }];
  createGauge(meter, { name: "spanwire_clusters", help: "Admitted clusters", labels: [] }, () =>
    one(mesh().records.admissions.size),
  );
  createGauge(
    meter,
    { name: "spanwire_gateways", help: "Admitted gateways, by whether they are heard", labels: ["state"] },
    () => {
      const facts = mesh();
      const all = [...facts.records.admissions.values()].reduce((sum, { gateways }) => sum + gateways.length, 0);
      const unreachable = findUnreachable(facts).length;
      return [
        { labels: { state: "reachable" }, value: all - unreachable },
        { labels: { state: "unreachable" }, value: unreachable },
      ];
    },
  );
  createGauge(
    meter,
    { name: "spanwire_map_sequence", help: "Sequence of the map as this hub has it", labels: [] },
    () => one(mesh().sequence),
  );
  createGauge(meter, { name: "spanwire_leader", help: "Whether this hub leads", labels: [] }, () =>
    one(isLeader() ? 1 : 0),
  );
}
