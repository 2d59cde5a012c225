/** @module FleetService's ports: for certificates, and where it is configured for tokens of a sign-in. */
import { readFile } from "node:fs/promises";
import type { BoundService } from "@spanwire/runtime/grpc/handlers";
import type { RunningServer } from "@spanwire/runtime/grpc/serve";
import type { HubConfig } from "./config.ts";
import type { KeyRing } from "./oidc/issuer-keys.ts";
import { byBearer, byCertificate } from "./operators/find-operator.ts";
import type { OperatorView } from "./operators/follow-operators.ts";
import { type PortOptions, servePort } from "./serve-port.ts";

export interface OperatorPortOptions {
  readonly config: HubConfig;
  readonly port: Omit<PortOptions, "address" | "service" | "certificates" | "findOperator">;
  readonly service: BoundService;
  readonly operators: OperatorView;
  readonly keyRing: KeyRing;
}

export interface OperatorPorts {
  readonly fleet: RunningServer;
  /** Undefined where no sign-in is configured. */
  readonly bearer: RunningServer | undefined;
}

export async function serveOperators(options: OperatorPortOptions): Promise<OperatorPorts> {
  const { config, port, service, operators } = options;
  const fleet = await servePort({
    ...port,
    service,
    certificates: "required",
    findOperator: byCertificate(port.meshId, operators),
    address: { host: config.listen, port: config.fleetPort },
  });
  try {
    return { fleet, bearer: await serveBearers(options) };
  } catch (error) {
    await fleet.close(0);
    throw error;
  }
}

async function serveBearers({
  config,
  port,
  service,
  keyRing,
}: OperatorPortOptions): Promise<RunningServer | undefined> {
  const { oidc } = config.operators;
  if (oidc === undefined) return undefined;
  const { issuer, caFile, audience, nameClaim, roles } = oidc;
  const caPem = caFile === undefined ? undefined : await readFile(caFile, "utf8");
  const source = { kind: "published", url: issuer, caPem } as const;
  return servePort({
    ...port,
    service,
    certificates: "none",
    findOperator: byBearer({ keyRing, source, issuer, audience, nameClaim, roles, clock: port.clock }),
    address: { host: config.listen, port: oidc.port },
  });
}
