/** @module Many real agents in one process, each with a NATS connection, a state directory and a fake kernel of its own. */
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { DEFAULT_MTU_BYTES, DEFAULT_RESILIENT_BUCKETS, DEFAULT_ROUTING } from "@spanwire/core/desired/local-facts";
import type { Verify } from "@spanwire/core/records/crypto";
import { Agent, type AgentState } from "@spanwire/gateway/agent";
import { CredentialsSchema, type MapState } from "@spanwire/proto/registration";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { createLog } from "@spanwire/runtime/log/create-log";
import { CountingKernel } from "./counting-kernel.ts";
import { BASE_PORT, identityOf, statementSettingsOf } from "./made-up-mesh.ts";
import type { MemberUser } from "./member-user.ts";
import { startProfile } from "./profiler.ts";
import { type Round, type RoundMeter, startRound } from "./round.ts";
import { serveParent } from "./serve-parent.ts";

export interface AgentsOptions {
  readonly users: readonly MemberUser[];
  readonly meshId: string;
  readonly authorityKey: Uint8Array;
  readonly mapState: MapState;
  /** Holds a state directory for each, named like its cluster. */
  readonly directory: string;
  /** How often an agent looks at its whole kernel although nothing has happened. */
  readonly lookEveryMs: number;
  readonly statusEveryMs: number;
  /** Take the signatures of the prepared map as read: a crowd of agents would spend minutes on verifying it. */
  readonly trustStored: boolean;
}

const DAY_MS = 86_400_000;

const stop = new AbortController();
const agents: { readonly agent: Agent; readonly kernel: CountingKernel }[] = [];
const realVerify = createVerify();
let isTrusting = false;
const verify: Verify = (publicKey, message, signature) => isTrusting || realVerify(publicKey, message, signature);
let endProfile: Awaited<ReturnType<typeof startProfile>> | undefined;
/** Of agents that end with a bug. */
const failures: Promise<never>[] = [];
let armed: RoundMeter | undefined;

const handlers = {
  /** Resolves when each has programmed its kernel; connecting goes on. */
  async start(options: AgentsOptions): Promise<void> {
    isTrusting = options.trustStored;
    for (const user of options.users) await startAgent(user, options);
    isTrusting = false;
  },
  states(): readonly Pick<AgentState, "connected" | "records" | "position" | "kernelWrites" | "notReady">[] {
    return agents.map(({ agent }) => agent.state);
  },
  conditions(): readonly string[] {
    return [
      ...new Set(
        agents.flatMap(({ agent }) => agent.state.conditions.map(({ type, message }) => `${type}: ${message}`)),
      ),
    ];
  },
  rssBytes(): number {
    return process.memoryUsage.rss();
  },
  async startProfile(): Promise<void> {
    endProfile = await startProfile();
  },
  async endProfile(file: string): Promise<void> {
    await endProfile?.(file);
  },
  writes(): number {
    return agents.reduce((sum, { kernel }) => sum + kernel.writes, 0);
  },
  /** The next write to each kernel counts. */
  arm(): void {
    const round = startRound(agents.length);
    for (const { kernel } of agents) {
      kernel.onWrite = (atMs) => {
        kernel.onWrite = undefined;
        round.note(atMs);
      };
    }
    armed = round;
  },
  /** When each kernel had it. */
  finish(): Promise<Round> {
    if (armed === undefined) throw new Error("not armed");
    return Promise.race([armed.done, ...failures]);
  },
};

export type AgentsProgram = typeof handlers;

async function startAgent({ site, url, caPem, jwt }: MemberUser, options: AgentsOptions): Promise<void> {
  const { clusterId } = site;
  const nowMs = systemClock.now();
  const kernel = new CountingKernel();
  const agent = await Agent.open({
    stateDirectory: join(options.directory, clusterId),
    membership: {
      clusterId,
      ordinal: 0,
      incarnation: 1n,
      hubAddress: "127.0.0.1:9",
      receivedAtMs: nowMs,
      credentials: create(CredentialsSchema, {
        meshId: options.meshId,
        authorityKey: options.authorityKey,
        natsUrls: [url],
        natsCaPem: caPem,
        natsUserJwt: jwt,
        expiresAt: timestampFromMs(nowMs + DAY_MS),
      }),
      mapState: options.mapState,
    },
    identity: identityOf(site),
    kernel,
    settings: {
      ...statementSettingsOf(site),
      basePort: BASE_PORT,
      mtuBytes: DEFAULT_MTU_BYTES,
      ipv6: "guarded",
      snat: [],
      resilientBuckets: DEFAULT_RESILIENT_BUCKETS,
      routing: DEFAULT_ROUTING,
      kernelRelease: "fake",
      sysctls: [],
      lookEveryMs: options.lookEveryMs,
      statusEveryMs: options.statusEveryMs,
    },
    verify,
    resolve: async () => [],
    clock: systemClock,
    random: Math.random,
    log: createLog({ name: clusterId, level: "error" }),
    signal: stop.signal,
  });
  agents.push({ agent, kernel });
  const running = agent.run();
  running.catch(() => {});
  failures.push(running.then(() => new Promise<never>(() => {})));
  while (agent.state.notReady !== undefined) await Promise.race([systemClock.sleep(5), running]);
}

serveParent(handlers);
