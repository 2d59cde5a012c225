/** @module A real agent of a made-up site, from its prepared state directory. */
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { DEFAULT_MTU_BYTES, DEFAULT_RESILIENT_BUCKETS, DEFAULT_ROUTING } from "@spanwire/core/desired/local-facts";
import { DEFAULT_PROBE_PORT } from "@spanwire/core/liveness/probe";
import type { Verify } from "@spanwire/core/records/crypto";
import { Agent } from "@spanwire/gateway/agent";
import type { Kernel } from "@spanwire/gateway/kernel/port";
import { CredentialsSchema, type MapState } from "@spanwire/proto/registration";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createLog } from "@spanwire/runtime/log/create-log";
import { BASE_PORT, identityOf, statementSettingsOf } from "./made-up-mesh.ts";
import type { MemberUser } from "./member-user.ts";

/** What agents of one mesh have in common. */
export interface AgentsFrame {
  readonly meshId: string;
  readonly authorityKey: Uint8Array;
  readonly mapState: MapState;
  /** Holds a state directory for each, named like its cluster. */
  readonly directory: string;
  /** How often an agent looks at its whole kernel although nothing has happened; the agent's own default if absent. */
  readonly lookEveryMs?: number;
  readonly statusEveryMs?: number;
}

const DAY_MS = 86_400_000;

export async function openAgent(
  { site, url, caPem, jwt }: MemberUser,
  frame: AgentsFrame,
  { kernel, verify, signal }: { readonly kernel: Kernel; readonly verify: Verify; readonly signal: AbortSignal },
): Promise<Agent> {
  const { clusterId } = site;
  const { meshId, authorityKey, mapState, directory, lookEveryMs, statusEveryMs } = frame;
  const nowMs = systemClock.now();
  const credentials = create(CredentialsSchema, {
    meshId,
    authorityKey,
    natsUrls: [url],
    natsCaPem: caPem,
    natsUserJwt: jwt,
    expiresAt: timestampFromMs(nowMs + DAY_MS),
  });
  return Agent.open({
    stateDirectory: join(directory, clusterId),
    membership: {
      ...{ clusterId, ordinal: 0, incarnation: 1n, credentials, mapState },
      ...{ hubAddress: "127.0.0.1:9", receivedAtMs: nowMs },
    },
    identity: identityOf(site),
    kernel,
    // A thousand hosts send 222 probes a second each at rest; here they would all be of one machine.
    openProbeSocket: () => new Promise(() => {}),
    settings: {
      ...statementSettingsOf(site),
      basePort: BASE_PORT,
      probePort: DEFAULT_PROBE_PORT,
      mtuBytes: DEFAULT_MTU_BYTES,
      ipv6: "guarded",
      snat: [],
      resilientBuckets: DEFAULT_RESILIENT_BUCKETS,
      routing: DEFAULT_ROUTING,
      kernelRelease: "fake",
      sysctls: [],
      ...(lookEveryMs === undefined ? {} : { lookEveryMs }),
      ...(statusEveryMs === undefined ? {} : { statusEveryMs }),
    },
    verify,
    resolve: async () => [],
    clock: systemClock,
    random: Math.random,
    log: createLog({ name: clusterId, level: "error" }),
    signal,
  });
}

/** Starts it; resolves when it has programmed its kernel, and gives what rejects when it ends with a bug. */
export async function runAgent(agent: Agent): Promise<{ readonly failed: Promise<never> }> {
  const running = agent.run();
  running.catch(() => {}); // told by `failed`
  while (agent.state.notReady !== undefined) await Promise.race([systemClock.sleep(5), running]);
  return { failed: running.then(() => new Promise<never>(() => {})) };
}
