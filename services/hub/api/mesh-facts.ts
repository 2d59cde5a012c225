/** @module The mesh as this hub knows it at this moment. */
import type { MeshFacts } from "../status/describe-mesh.ts";
import type { FleetOptions } from "./fleet-service.ts";

export function meshFacts({
  map,
  reports,
  gateways,
  clock,
}: Pick<FleetOptions, "map" | "reports" | "gateways" | "clock">): MeshFacts {
  const { records, lineage, sequence } = map;
  const { get: reportOf, sinceMs } = reports;
  return { records, lineage, sequence, reportOf, sinceMs, goneAtMs: gateways.goneAtMs, nowMs: clock.now() };
}
