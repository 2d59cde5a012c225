/** @module One gRPC port of the hub, with a certificate that is made anew every day. */
import type { Meter } from "@opentelemetry/api";
import type { Clock } from "@spanwire/core/time";
import type { BoundService } from "@spanwire/runtime/grpc/handlers";
import { measureCalls } from "@spanwire/runtime/grpc/measure-calls";
import { type RunningServer, serve } from "@spanwire/runtime/grpc/serve";
import { createServerTls } from "@spanwire/runtime/grpc/server-tls";
import type { Logger } from "@spanwire/runtime/log/logger";
import { authorize } from "./api/authorize.ts";
import type { AuditedCalls } from "./audit/audited-calls.ts";
import { type CertificateAuthority, SERVER_LIFETIME_MS } from "./authority/ca.ts";
import type { FindOperator } from "./operators/find-operator.ts";

export interface PortOptions {
  readonly ca: CertificateAuthority;
  readonly meshId: string;
  readonly address: { readonly host: string; readonly port: number };
  /** The name or address that callers use. */
  readonly advertise: string;
  readonly service: BoundService;
  /** Whether callers must show a certificate of ours (decisions/0001-two-listeners.md, 0002-bearer-port.md). */
  readonly certificates: "required" | "none";
  readonly findOperator: FindOperator;
  /** Writes down what is refused. */
  readonly calls: AuditedCalls;
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
}

const RENEW_MS = 86_400_000;
const ANY = new Set(["0.0.0.0", "::"]);

export async function servePort(options: PortOptions): Promise<RunningServer> {
  const { ca, meshId, address, advertise, service, certificates, findOperator, calls, clock, log, meter } = options;
  const areRequired = certificates === "required";
  const hosts = [...new Set([advertise, address.host, "127.0.0.1", "localhost"])].filter((host) => !ANY.has(host));
  const material = async () => ({
    certificate: await ca.issueServer({ hosts, nowMs: clock.now(), lifetimeMs: SERVER_LIFETIME_MS }),
    ...(areRequired ? { clientCaPem: ca.certificatePem } : {}),
  });
  const tls = createServerTls(await material());
  const interceptors = [measureCalls(meter), calls.interceptor, authorize({ meshId, findOperator, calls })];
  const server = await serve({ services: [service], tls, address, log, interceptors });
  const renew = async () => {
    try {
      tls.replace(await material());
    } catch (err) {
      log.error({ err }, "the certificate of a port cannot be renewed"); // the next days are other tries
    }
  };
  const renewal = setInterval(renew, RENEW_MS).unref();
  return {
    ...server,
    async close(graceMs) {
      clearInterval(renewal);
      await server.close(graceMs);
    },
  };
}
