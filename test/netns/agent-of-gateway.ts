/** @module One gateway's real agent over the real kernel of its namespace, in this process. */
import {
  DEFAULT_BASE_PORT,
  DEFAULT_MTU_BYTES,
  DEFAULT_RESILIENT_BUCKETS,
  DEFAULT_ROUTING,
} from "@spanwire/core/desired/local-facts";
import { DEFAULT_PROBE_PORT } from "@spanwire/core/liveness/probe";
import type { Signer } from "@spanwire/core/records/crypto";
import { Agent } from "@spanwire/gateway/agent";
import type { AgentSettings, AgentState } from "@spanwire/gateway/agent-options";
import { takeDown } from "@spanwire/gateway/dataplane/down";
import { noteWrites } from "@spanwire/gateway/dataplane/note-writes";
import { ensureIdentity } from "@spanwire/gateway/identity/gateway-identity";
import { ensureEpochKey } from "@spanwire/gateway/identity/wireguard-keys";
import type { Membership } from "@spanwire/gateway/join/membership";
import type { Change } from "@spanwire/gateway/kernel/change";
import { openKernel } from "@spanwire/gateway/kernel/open-kernel";
import type { Kernel, ObservedPeer } from "@spanwire/gateway/kernel/port";
import type { OpenProbeSocket } from "@spanwire/gateway/liveness/probe-socket";
import { openUdpProbeSocket } from "@spanwire/gateway/liveness/udp-probe-socket";
import type { Resolve } from "@spanwire/gateway/local-facts";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { wireguardGoPath } from "../lab/wireguard-go.ts";
import type { Namespace } from "./namespace.ts";
import { openUdp } from "./sockets.ts";
import type { GatewayMachine } from "./topology.ts";

export type GatewaySettings = Partial<AgentSettings>;

export interface AgentOfGateway extends AsyncDisposable {
  readonly machine: GatewayMachine;
  readonly kernel: Kernel;
  /** Every change that was tried since it first started. */
  readonly writes: readonly Change[];
  /** How often it has looked since it last started. */
  readonly looks: number;
  readonly state: AgentState;
  /** Ends it as SIGKILL does, without a word; `restart` starts it again. */
  kill(): Promise<void>;
  /** What SIGTERM does before it ends the agent: resolves when the others send by its sibling. */
  drain(): Promise<void>;
  /** Ends it without a word, and starts it with other settings beside the former ones. */
  restart(settings: GatewaySettings): Promise<void>;
  /** What its kernel shows of the gateway of another cluster. */
  peer(other: AgentOfGateway): Promise<ObservedPeer | undefined>;
  /** Base64. */
  readonly publicKey: string;
}

export interface AgentOfGatewayOptions {
  readonly machine: GatewayMachine;
  readonly cluster: string;
  readonly settings: GatewaySettings;
  readonly stateDirectory: string;
  /** Has this identity admitted. */
  readonly admitted: (signer: Signer) => Promise<void>;
  readonly membership: () => Membership;
  readonly resolve: Resolve;
}

const LOOK_MS = 1_000;
const START_MS = 50;
const RECEIVE_BYTES = 1 << 20;

/** Returns when the agent has programmed its kernel. */
export async function startAgent(options: AgentOfGatewayOptions): Promise<AgentOfGateway> {
  const { machine, stateDirectory, membership, resolve } = options;
  let settings = { ...DEFAULTS, ...options.settings };
  const writes: Change[] = [];
  const kernel = noteWrites(await openKernelOf(machine, settings.dataplane), writes);
  const identity = await ensureIdentity(stateDirectory);
  await options.admitted(identity.signer);
  const { publicKey } = await ensureEpochKey(stateDirectory, 0n);
  let running = await start();

  async function start() {
    const controller = new AbortController();
    const agent = await Agent.open({
      ...{ stateDirectory, membership: membership(), identity, kernel, settings, resolve },
      openProbeSocket: openIn(machine.namespace),
      ...{ verify: createVerify(), clock: systemClock, random: Math.random, log: createRecordingLog() },
      signal: controller.signal,
    });
    const done = agent.run();
    const stop = async () => {
      controller.abort(new Error("the test stops the agent"));
      await done;
    };
    while (agent.state.notReady !== undefined) await Promise.race([systemClock.sleep(START_MS), done]);
    return { agent, stop };
  }

  return {
    machine,
    kernel,
    writes,
    publicKey,
    get looks() {
      return running.agent.state.reconciles;
    },
    get state() {
      return running.agent.state;
    },
    kill: () => running.stop(),
    drain: () => running.agent.drain(),
    async restart(changed) {
      await running.stop();
      settings = { ...settings, ...changed };
      running = await start();
    },
    async peer(other) {
      const lane = await kernel.wireguard.observe(`sw-a${other.machine.ordinal}`);
      return lane?.peers.find((peer) => peer.publicKey === other.publicKey);
    },
    async [Symbol.asyncDispose]() {
      await running.stop();
      if (settings.dataplane === "userspace") await takeDown(kernel); // wireguard-go would outlive its namespace
      await kernel[Symbol.asyncDispose]();
    },
  };
}

/** Sockets of this process in the gateway's namespace. */
function openIn(namespace: Namespace): OpenProbeSocket {
  return (options) =>
    openUdpProbeSocket(
      options,
      namespace.within(() => openUdp(options, RECEIVE_BYTES)),
    );
}

async function openKernelOf({ namespace }: GatewayMachine, dataplane: AgentSettings["dataplane"]): Promise<Kernel> {
  const netns = `/run/netns/${namespace.name}`;
  if (dataplane === "kernel") return openKernel({ dataplane: { kind: "kernel" }, netns });
  return openKernel({ dataplane: { kind: "userspace", wireguardGoPath: await wireguardGoPath() }, netns });
}

const DEFAULTS: AgentSettings = {
  endpoints: [],
  basePort: DEFAULT_BASE_PORT,
  probePort: DEFAULT_PROBE_PORT,
  draining: false,
  dataplane: "kernel",
  version: "test",
  mtuBytes: DEFAULT_MTU_BYTES,
  ipv6: "routed",
  snat: [],
  resilientBuckets: DEFAULT_RESILIENT_BUCKETS,
  routing: DEFAULT_ROUTING,
  kernelRelease: "test",
  sysctls: [],
  lookEveryMs: LOOK_MS,
  statusEveryMs: LOOK_MS,
};
