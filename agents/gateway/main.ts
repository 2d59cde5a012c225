/** @module The agent as a process: joins, opens the kernel and runs; and the short commands beside it. */

import { lookup } from "node:dns/promises";
import { existsSync } from "node:fs";
import { release } from "node:os";
import { DEFAULT_RESILIENT_BUCKETS } from "@spanwire/core/desired/local-facts";
import { SpanwireError } from "@spanwire/core/errors";
import { RecordMap } from "@spanwire/core/records/record-map";
import { ClusterKind } from "@spanwire/proto/record";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { systemRandom } from "@spanwire/runtime/crypto/random";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createChecks } from "@spanwire/runtime/health/checks";
import { serveHealth } from "@spanwire/runtime/health/serve-health";
import type { Logger } from "@spanwire/runtime/log/logger";
import { keepMemorySmall } from "@spanwire/runtime/memory/keep-memory-small";
import { createMetrics } from "@spanwire/runtime/metrics/create-metrics";
import { declareProcessMetrics } from "@spanwire/runtime/metrics/process-metrics";
import { startTracing } from "@spanwire/runtime/tracing/start-tracing";
import { Agent } from "./agent.ts";
import { declareAgentMetrics } from "./agent-metrics.ts";
import type { AgentSettings } from "./agent-options.ts";
import { createAgentVerify } from "./agent-verify.ts";
import type { AgentConfig } from "./config.ts";
import type { Applied } from "./dataplane/apply.ts";
import { takeDown } from "./dataplane/down.ts";
import { networkFacts } from "./dataplane/local-networks.ts";
import { findEndpoint } from "./endpoint.ts";
import { raiseGuard } from "./guard.ts";
import { ensureIdentity } from "./identity/gateway-identity.ts";
import { ensureMembership, type JoinOptions, rejoinWith } from "./join/join.ts";
import { findMembership } from "./join/membership.ts";
import { leave } from "./join/renew.ts";
import { checkSysctls, hasKernelWireGuard, missingNetAdmin, readOwnStatus } from "./kernel/capability.ts";
import { openKernel } from "./kernel/open-kernel.ts";
import { DEFAULT_OWNERSHIP } from "./kernel/ownership.ts";
import type { Kernel } from "./kernel/port.ts";
import { returnFreedMemory } from "./kernel/return-freed-memory.ts";
import { openUdpProbeSocket } from "./liveness/udp-probe-socket.ts";
import { Planner } from "./planner.ts";
import { loadStoredMap } from "./subscription/load-stored-map.ts";
import { MapStore } from "./subscription/map-store.ts";

export interface RunOptions {
  readonly log: Logger;
  /** Of the program, as the status shows it. */
  readonly version: string;
  /** Ends the agent, when others have taken its traffic over; the kernel keeps what it has, and traffic goes on. */
  readonly signal: AbortSignal;
}

const KINDS = {
  kubernetes: ClusterKind.KUBERNETES,
  vm: ClusterKind.VM,
  "on-premises": ClusterKind.ON_PREMISES,
} as const;

/** Runs the agent until the signal aborts. Rejects when it cannot start, saying what to do, and with a bug's error. */
export async function run(config: AgentConfig, options: RunOptions): Promise<void> {
  keepMemorySmall();
  await using _ = await startTracing({ endpoint: config.tracesEndpoint, serviceName: "spanwire-agent" });
  const ended = new AbortController();
  const returning = returnFreedMemory(systemClock, AbortSignal.any([options.signal, ended.signal]));
  try {
    while ((await runMembership(config, options)) === "rejoined" && !options.signal.aborted);
  } finally {
    ended.abort();
    await returning;
  }
}

/** Runs one agent: until the signal aborts, or until the hub had forgotten it and let it join again. */
async function runMembership(
  config: AgentConfig,
  { log, version, signal }: RunOptions,
): Promise<"stopped" | "rejoined"> {
  const { stateDir: stateDirectory, token, invite, workloadTokenFile, clusterId, hubAddress } = config;
  const { ordinal, prefixes, labels } = config;
  await using cleanup = new AsyncDisposableStack();
  const kernel = cleanup.use(openConfigured(config));
  await requireDataplane(config);
  const identity = await ensureIdentity(stateDirectory);
  const wish = { kind: KINDS[config.kind], prefixes, labels, ordinal };
  const [clock, random] = [systemClock, systemRandom];
  const join: JoinOptions = {
    ...{ stateDirectory, identity, token, invite, workloadTokenFile, clusterId, hubAddress, wish },
    ...{ clock, random, log, signal },
  };
  const membership = await ensureMembership(join);
  const ended = new AbortController();
  const agent = await Agent.open({
    ...{ stateDirectory, identity, membership, kernel },
    ...{ clock, random, log, signal: ended.signal, rejoin: rejoinWith(join) },
    openProbeSocket: (socket) => openUdpProbeSocket(socket),
    settings: toSettings(config, kernel, version),
    verify: createAgentVerify(),
    resolve: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
  });
  const drainAndEnd = async () => {
    await agent.drain().catch((err: unknown) => log.warn({ err }, "others may still send to this gateway"));
    ended.abort(signal.reason);
  };
  signal.addEventListener("abort", drainAndEnd, { once: true });
  cleanup.defer(() => signal.removeEventListener("abort", drainAndEnd));
  if (signal.aborted) ended.abort(signal.reason);
  await servePort(config, agent, cleanup);
  await agent.run();
  return agent.hasRejoined ? "rejoined" : "stopped";
}

/** Takes everything of ours out of the kernel; keys and membership stay. */
export async function down(config: AgentConfig, signal?: AbortSignal): Promise<Applied> {
  await using kernel = openConfigured(config);
  return await takeDown(kernel, signal); // the kernel is closed when this function ends
}

/** Loads the boot guard from the stored map; does nothing before the first join. */
export async function guard(
  config: AgentConfig,
  { log, version }: Pick<RunOptions, "log" | "version">,
): Promise<Applied> {
  const membership = await findMembership(config.stateDir);
  if (membership === undefined) return { done: [], failures: [] };
  const { meshId, authorityKey } = membership.credentials;
  const map = new RecordMap({ meshId, authorityKey, verify: createAgentVerify(), sha256 });
  await loadStoredMap(map, { store: new MapStore(config.stateDir), log });
  await using kernel = openConfigured(config);
  const planner = new Planner(map, membership, toSettings(config, kernel, version));
  planner.observe(networkFacts(await kernel.network.host()));
  return await raiseGuard(kernel, planner);
}

/** Ends this gateway at the hub. What it has in the kernel and on disk stays until `down`, and until it is removed. */
export async function leaveMesh({ stateDir }: AgentConfig, signal: AbortSignal): Promise<void> {
  const membership = await findMembership(stateDir);
  if (membership === undefined) {
    throw new SpanwireError("not-found", `leave: ${stateDir} holds no membership: this gateway never joined`);
  }
  const { signer } = await ensureIdentity(stateDir);
  await leave({ membership, signer, signal });
}

/** Never silently in userspace: who asked for the kernel's WireGuard is told that there is none. */
async function requireDataplane({ dataplane }: AgentConfig): Promise<void> {
  if (dataplane === "userspace" || (await hasKernelWireGuard())) return;
  const message = `kernel ${release()} has no WireGuard: load its module, or encrypt in userspace with --dataplane userspace`;
  throw new SpanwireError("kernel", message, { reason: "NO_WIREGUARD" });
}

function openConfigured({ dataplane, wireguardGo, routing }: AgentConfig): Kernel {
  const missing = missingNetAdmin(readOwnStatus());
  if (missing !== undefined) throw new SpanwireError("denied", missing, { reason: "NO_NET_ADMIN" });
  return openKernel({
    dataplane: dataplane === "kernel" ? { kind: "kernel" } : { kind: "userspace", wireguardGoPath: wireguardGo },
    ownership: { ...DEFAULT_OWNERSHIP, table: routing.table },
  });
}

function toSettings(config: AgentConfig, kernel: Kernel, version: string): AgentSettings {
  const { basePort, probePort, endpoints, draining, dataplane, mtuBytes, snat, routing } = config;
  const { table, rulePriority, mark, mask } = routing;
  const { drainSeconds, absentAfterSeconds } = config.rotation;
  const ipv6 = config.ipv6 ?? (existsSync("/proc/net/if_inet6") ? "routed" : "off");
  return {
    ...{ basePort, probePort, draining, dataplane, mtuBytes, snat, ipv6, version },
    endpoints: endpoints.flatMap((text) => findEndpoint(text, basePort) ?? []),
    resilientBuckets: kernel.features.resilientGroups ? DEFAULT_RESILIENT_BUCKETS : undefined,
    routing: { table, rulePriority, fwmark: { mark, mask } },
    rotation: { drainMs: drainSeconds * 1_000, absentAfterMs: absentAfterSeconds * 1_000 },
    kernelRelease: release(),
    sysctls: checkSysctls({ ipv6: ipv6 === "routed" }),
  };
}

/** Probes and metrics, where they are asked for. */
async function servePort(config: AgentConfig, agent: Agent, cleanup: AsyncDisposableStack): Promise<void> {
  const { metricsPort, metricsListen } = config;
  if (metricsPort === undefined) return;
  const metrics = await createMetrics({ enabled: true });
  cleanup.defer(() => metrics.close());
  declareProcessMetrics(metrics.meter);
  declareAgentMetrics(metrics.meter, () => agent.state);
  const ready = createChecks();
  ready.add("agent", () => agent.state.notReady);
  const address = { host: metricsListen, port: metricsPort };
  const server = await serveHealth({ address, live: createChecks(), ready, metrics });
  cleanup.defer(() => server.close());
}
