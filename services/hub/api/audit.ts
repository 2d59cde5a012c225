/** @module The audit log for operators, as it is stored: they verify it themselves. */
import type { FleetService } from "@spanwire/proto/fleet";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import type { FleetOptions } from "./fleet-service.ts";

export function auditHandlers({ audit }: FleetOptions): Pick<Handlers<typeof FleetService>, "readAudit"> {
  return {
    async *readAudit({ after, last, follow }, { signal }) {
      for await (const block of audit.read({ after, last, follow }, signal)) yield { block: new Uint8Array(block) };
    },
  };
}
