/** @module The mesh as this hub knows it at this moment. */
import type { MeshFacts } from "../status/describe-mesh.ts";
import type { FleetOptions } from "./fleet-service.ts";

export function meshFacts({
  map,
  reports,
  gateways,
  unverifiedServers,
  clock,
}: Pick<FleetOptions, "map" | "reports" | "gateways" | "unverifiedServers" | "clock">): MeshFacts {
  const { records, lineage, sequence } = map;
  const { get: reportOf, sinceMs } = reports;
  const nowMs = clock.now();
  return { records, lineage, sequence, reportOf, sinceMs, goneAtMs: gateways.goneAtMs, unverifiedServers, nowMs };
}
