/** @module grpc.health.v1.Health: what probes and load balancers ask. */
import { SpanwireError } from "@spanwire/core/errors";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "@spanwire/proto/grpc/health/v1/health";
import { createChanges } from "../loop/changes.ts";
import { type BoundService, bindService } from "./handlers.ts";

export interface HealthService extends BoundService {
  /** Says whether all of the server can be used now; at first it cannot. */
  setServing(serving: boolean): void;
}

/** Makes the service, which knows the given names and, as gRPC has it, the empty name for the whole server. */
export function createHealthService(names: readonly string[]): HealthService {
  const known = new Set(["", ...names]);
  const changes = createChanges();
  let status: ServingStatus = ServingStatus.NOT_SERVING;
  const bound = bindService(Health, {
    async check({ service }) {
      if (known.has(service)) return { status };
      throw new SpanwireError("not-found", `health of "${service}": no such service here`);
    },
    async *watch({ service }, { signal }) {
      for (let last: ServingStatus | undefined; ; ) {
        const { version } = changes;
        const current = known.has(service) ? status : ServingStatus.SERVICE_UNKNOWN;
        if (current !== last) yield { status: current };
        last = current;
        await changes.after(version, signal);
      }
    },
  });
  return {
    ...bound,
    setServing(serving) {
      status = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
      changes.notify();
    },
  };
}
