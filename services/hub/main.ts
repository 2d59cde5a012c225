/** @module The hub as a process: opens its foundation, serves two ports, answers agents, and leads when it is its turn. */
import { hostname } from "node:os";
import { join } from "node:path";
import { VERSION } from "@spanwire/core/version";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { randomBytes, systemRandom } from "@spanwire/runtime/crypto/random";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { createRequestValidator } from "@spanwire/runtime/grpc/request-validator";
import type { Logger } from "@spanwire/runtime/log/logger";
import { limitYoungGeneration } from "@spanwire/runtime/memory/keep-memory-small";
import type { Metrics } from "@spanwire/runtime/metrics/create-metrics";
import { createCounter } from "@spanwire/runtime/metrics/instruments";
import { createFleetService } from "./api/fleet-service.ts";
import { meshFacts } from "./api/mesh-facts.ts";
import { type AuditedRecords, createAuditedRecords } from "./audit/audited-records.ts";
import { openAudit } from "./audit/open-audit.ts";
import type { HubConfig } from "./config.ts";
import { answerAgents } from "./distribution/answer.ts";
import { type Foundation, openFoundation } from "./foundation.ts";
import { createNatsGatewayUsers } from "./nats/nats-gateway-users.ts";
import { createKeyRing } from "./oidc/issuer-keys.ts";
import { writeOperatorAccess } from "./operator-access.ts";
import { followOperators } from "./operators/follow-operators.ts";
import { lead } from "./planning/lead.ts";
import { rotationConditions } from "./planning/rotation-conditions.ts";
import { followReadiness } from "./readiness.ts";
import { createAdmissionWriter } from "./registration/admission-writer.ts";
import { ensureNonceKey } from "./registration/nonce-key.ts";
import { createRegistrationService } from "./registration/registration-service.ts";
import { serveOperators } from "./serve-operators.ts";
import { servePort } from "./serve-port.ts";
import { startLeadership } from "./state/leader.ts";
import { followConnections } from "./status/connections.ts";
import { declareMeshMetrics } from "./status/declare-metrics.ts";
import { followReports, type ReportView } from "./status/report-view.ts";
import { createProgressReader } from "./status/rotation-progress.ts";
import { createReportTaker } from "./status/take-reports.ts";
import { openHealth, openTelemetry } from "./telemetry.ts";

export interface HubOptions {
  readonly log: Logger;
  /** $PATH, for the nats-server. */
  readonly searchPath: string;
  /** Ends the hub: calls under way are finished, then NATS is stopped. */
  readonly signal: AbortSignal;
  /** Called once both ports take calls. */
  readonly onReady?: (ready: HubReady) => void;
}

export interface HubReady {
  readonly meshId: string;
  readonly registrationAddress: string;
  readonly fleetAddress: string;
  /** Of FleetService for tokens of a sign-in; undefined where none is configured. */
  readonly bearerAddress: string | undefined;
  /** Of probes and metrics; undefined where they are off. */
  readonly metricsPort: number | undefined;
  /** The operator's context file for this hub. */
  readonly contextFile: string;
}

/** A new admission is good for this long; the leader extends it when half of that is left. */
export const ADMISSION_LEASE_MS = 90 * 86_400_000;
const DAY_MS = 86_400_000;

/** Runs the hub until the signal aborts. Rejects when it cannot start, or when the program is wrong. */
export async function run(config: HubConfig, { log, searchPath, signal, onReady }: HubOptions): Promise<void> {
  limitYoungGeneration();
  const [clock, random] = [systemClock, systemRandom];
  await using open = new AsyncDisposableStack();
  const metrics = await openTelemetry(config, open);
  const { meter } = metrics;
  const foundation = await openBelow(open, signal, (until) =>
    openFoundation({ config, log, clock, random, searchPath, signal: until }),
  );
  const failed = new AbortController();
  open.defer(() => failed.abort()); // also for a start that fails: whatever runs by then would keep the process alive
  const running = AbortSignal.any([signal, failed.signal]);

  const { authority, operator, store, map, bans, connections } = foundation;
  const { ca, root, online, mesh } = authority;
  const { meshId } = mesh;
  const hub = `${hostname()}/${process.pid}`;
  const audit = openAudit({
    foundation,
    hub,
    replicas: config.nats.replicas,
    limits: { maxAgeMs: config.audit.maxAgeDays * DAY_MS, maxBytes: config.audit.maxBytes },
    clock,
    random,
    logger: log,
    meter,
  });
  open.defer(() => audit.close()); // after the ports: what their last calls did is still written down
  audit.record({ action: "hub.start", actor: { kind: "hub" }, after: JSON.stringify({ version: VERSION }) });
  const { calls } = audit;
  const records = createAuditedRecords(audit.record);
  foundation.onIncident(records.onIncident);
  const told = [foundation.keys, audit, foundation.durability];
  const hubConditions = () => [
    ...told.flatMap(({ conditions }) => conditions()),
    ...rotationConditions({ map, clock, ...rotation }),
  ];
  const users = createNatsGatewayUsers({ operator, bans, registry: store.registry, clock });
  const reports = followReports({ status: store.status, records: map.records, clock, random, log, signal: running });
  const absentAfterMs = config.rotation.absentAfterSeconds * 1_000;
  const rotation = { reports, readProgress: createProgressReader(), absentAfterMs };
  const { system } = connections;
  const gateways = followConnections({ system, account: operator.meshAccount, clock, signal: running });
  const base = { store, map, meshId, signers: { root, online }, clock };
  const writer = createAdmissionWriter(base);
  const keyRing = createKeyRing({
    clock,
    onFailure: (owner, err) => log.warn({ err, owner }, "an issuer does not give its keys"),
  });
  const common = { ...base, writer, users };
  const operators = followOperators({
    registry: store.registry,
    clock,
    onFailure: (err) => log.warn({ err }, "following revoked operators failed"),
    signal: running,
  });
  const port = { ca, meshId, advertise: config.advertise, calls, clock, log, meter };

  const registration = await servePort({
    ...port,
    certificates: "none",
    findOperator: async () => undefined, // its calls prove themselves
    address: { host: config.listen, port: config.registrationPort },
    service: createRegistrationService({
      ...common,
      ca,
      authorityKey: root.publicKey,
      nats: { urls: foundation.natsUrls, caPem: foundation.natsCaPem },
      nonceKey: await ensureNonceKey(store.registry, randomBytes),
      verify: createVerify(),
      keyRing,
      validate: createRequestValidator(),
      calls,
      admissionLeaseMs: ADMISSION_LEASE_MS,
      limits: { peer: { perSecond: config.limits.callsPerSecond, burst: config.limits.callBurst } },
    }),
  });
  open.defer(() => registration.close());
  const hubAddress = formatAddress(config.advertise, registration.port);

  const leadership = startLeadership({
    registry: store.registry,
    holder: hub,
    clock,
    lead(leading) {
      audit.record({ action: "hub.lead", actor: { kind: "hub" } });
      return lead({
        ...common,
        nats: connections.state,
        connectCount: () => gateways.connectCount,
        ...rotation,
        schedule: config.rotation.schedule,
        leaseMs: ADMISSION_LEASE_MS,
        record: audit.record,
        trimAudit: audit.trim,
        log,
        random,
        signal: leading,
      });
    },
    onFailure: (err) => log.warn({ err }, "the leader's lease cannot be reached"),
    signal: running,
  });
  const isLeader = () => leadership.isLeader;
  const ports = await serveOperators({
    config,
    port,
    operators,
    keyRing,
    service: createFleetService({
      ...common,
      ca,
      ...rotation,
      gateways,
      hubConditions,
      frame: { hubAddress, caSpkiSha256: ca.spkiSha256, authoritySha256: sha256(root.publicKey) },
      audit,
      version: VERSION,
      natsVersion: () => connections.state.info?.version ?? "unknown",
      isLeader,
    }),
  });
  const { fleet, bearer } = ports;
  open.defer(() => Promise.all([fleet.close(), bearer?.close()]).then(() => undefined));
  const sources = { map, reports, gateways, hubConditions, clock };
  declareMeshMetrics(meter, { mesh: () => meshFacts(sources), isLeader });

  const answering = answer({ foundation, records, reports, log, metrics, signal: running });
  const nats = connections.state;
  const readiness = followReadiness({
    map,
    nats,
    servers: [registration, fleet, ...(bearer ? [bearer] : [])],
    signal: running,
  });
  const contextFile = join(config.dir, "context.json");
  const fleetAddress = formatAddress(config.advertise, fleet.port);
  const bearerAddress = bearer && formatAddress(config.advertise, bearer.port);
  await writeOperatorAccess({ authority, registry: store.registry, address: fleetAddress, path: contextFile, clock });
  const metricsPort = await openHealth(config, { isReady: readiness.isReady, metrics, open });
  foundation.keys.started();
  onReady?.({ meshId, registrationAddress: hubAddress, fleetAddress, bearerAddress, metricsPort, contextFile });
  await Promise.all([answering, leadership.done, reports.done, gateways.done, operators.done, readiness.done]);
}

/** Opens what all else stands on: it closes last, so that what is under way can still be stored. */
async function openBelow(
  open: AsyncDisposableStack,
  signal: AbortSignal,
  openAll: (signal: AbortSignal) => Promise<Foundation>,
): Promise<Foundation> {
  const closing = new AbortController();
  const giveUp = () => closing.abort(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  signal.throwIfAborted();
  try {
    const foundation = await openAll(closing.signal);
    open.defer(async () => {
      closing.abort();
      await foundation.done;
    });
    return foundation;
  } catch (error) {
    closing.abort();
    throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

interface AnswerOptions {
  readonly foundation: Foundation;
  readonly records: AuditedRecords;
  readonly reports: ReportView;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}

function answer({ foundation, records, reports, log, metrics: { meter }, signal }: AnswerOptions): Promise<void> {
  const { connections, map, store } = foundation;
  const dropped = createCounter(meter, {
    name: "spanwire_agent_messages_dropped",
    help: "Messages of agents that were not answered, by reason",
    labels: ["reason"],
  });
  return answerAgents({
    nats: connections.answer,
    map,
    bucket: store.map,
    clock: systemClock,
    onReport: createReportTaker({ view: reports, status: store.status, map, clock: systemClock, log, meter }),
    onStored: records.onStored,
    onAnswered: records.onAnswered,
    onDropped(what) {
      const { subject, reason, error } = what;
      records.onDropped(what);
      dropped.add({ reason });
      log.debug({ subject, reason, err: error }, "message of an agent dropped");
    },
    signal,
  });
}

function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
