/** @module The mesh as this hub knows it at this moment. */
import type { MeshFacts } from "../status/describe-mesh.ts";
import type { FleetOptions } from "./fleet-service.ts";

export type FactSources = Pick<FleetOptions, "map" | "reports" | "gateways" | "hubConditions" | "clock">;

export function meshFacts({ map, reports, gateways, hubConditions, clock }: FactSources): MeshFacts {
  const { records, lineage, sequence } = map;
  const { get: reportOf, sinceMs } = reports;
  return {
    records,
    lineage,
    sequence,
    reportOf,
    sinceMs,
    goneAtMs: gateways.goneAtMs,
    hubConditions: hubConditions(),
    nowMs: clock.now(),
  };
}
