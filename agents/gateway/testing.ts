/** @module Whole agents for tests: everything real but kernel and hub, many in one process. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { DEFAULT_RESILIENT_BUCKETS, DEFAULT_ROUTING } from "@spanwire/core/desired/local-facts";
import { DEFAULT_PROBE_PORT } from "@spanwire/core/liveness/probe";
import type { Signer } from "@spanwire/core/records/crypto";
import { MESH_ID, recordsBy } from "@spanwire/core/records/testing";
import { DefaultLinks, EpochState, type LinkPolicySchema } from "@spanwire/proto/record";
import { CredentialsSchema, MapStateSchema } from "@spanwire/proto/registration";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createSigner, generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { createRecordingLog, type RecordingLog } from "@spanwire/runtime/log/recording-log";
import { Agent } from "./agent.ts";
import type { AgentSettings } from "./agent-options.ts";
import { ensureIdentity } from "./identity/gateway-identity.ts";
import type { Membership } from "./join/membership.ts";
import { FakeKernel } from "./kernel/fake/fake-kernel.ts";
import type { OpenProbeSocket } from "./liveness/probe-socket.ts";
import { ModelHub } from "./subscription/model-hub.ts";

const DAY_MS = 86_400_000;
const verify = createVerify();

/** The authority of a mesh and a model of its hub: no NATS, no gRPC. */
export interface TestMesh {
  readonly hub: ModelHub;
  readonly by: ReturnType<typeof recordsBy>;
  readonly online: Signer;
  /** Admits gateways' identities, as Register does, some of them to drain; `write` stores and publishes. */
  admit(
    clusterId: string,
    gateways: readonly Signer[],
    write: Write,
    prefixes?: readonly string[],
    draining?: readonly number[],
  ): Promise<void>;
  /** Writes the link policy anew. */
  link(policy: MessageInitShape<typeof LinkPolicySchema>, write: Write): Promise<void>;
  membership(clusterId: string, ordinal: number, natsUrl: string): Membership;
}

export type Write = (key: string, bytes: Uint8Array) => void;

/** A mesh with an epoch and a link policy, and no clusters. */
export async function createTestMesh(): Promise<TestMesh> {
  const [root, online] = [newSigner(), newSigner()];
  const by = recordsBy(root, { sha256, verify });
  const hub = new ModelHub({ root, online, by, crypto: { sha256, verify } });
  const order = { incarnation: 1n, generation: 1n };
  const mesh = { meshId: MESH_ID, overlayIpv4: "198.18.0.0/15", overlayIpv6: "fd5a:1::/48", maxGateways: 2 };
  hub.write("mesh", await by.sign(root, { key: "mesh", ...order, body: { case: "mesh", value: mesh } }));
  hub.write("delegation", await by.delegation(online));
  const epoch = { active: 0n, state: EpochState.STEADY };
  hub.write("epoch", await by.sign(online, { key: "epoch", ...order, body: { case: "epoch", value: epoch } }));
  const link: TestMesh["link"] = async (policy, write) => {
    const key = "policy.links";
    const generation = (hub.map.get(key)?.order.generation ?? 0n) + 1n;
    const value = { defaultLinks: DefaultLinks.FULL_MESH, ...policy };
    write(key, await by.sign(root, { key, incarnation: 1n, generation, body: { case: "linkPolicy", value } }));
  };
  await link({}, (key, bytes) => hub.write(key, bytes));

  const blocks = new Map<string, number>();
  return {
    hub,
    by,
    online,
    link,
    async admit(clusterId, gateways, write, prefixes, draining = []) {
      const index = blocks.get(clusterId) ?? blocks.size;
      blocks.set(clusterId, index);
      const key = `cluster.${clusterId}`;
      const generation = (hub.map.get(key)?.order.generation ?? 0n) + 1n;
      const admission = {
        clusterId,
        overlayIndex: index,
        prefixes: [...(prefixes ?? [`10.${Math.floor(index / 256)}.${index % 256}.0/24`])],
        gateways: gateways.map(({ publicKey }, ordinal) => ({
          ...{ ordinal, identityKey: publicKey, incarnation: 1n },
          draining: draining.includes(ordinal),
        })),
      };
      const body = { case: "admission", value: admission } as const;
      write(key, await by.sign(root, { key, incarnation: 1n, generation, body }));
    },
    membership(clusterId, ordinal, natsUrl) {
      const expiresAt = { seconds: BigInt(Math.floor((Date.now() + DAY_MS) / 1_000)) };
      return {
        clusterId,
        ordinal,
        incarnation: 1n,
        hubAddress: "127.0.0.1:1",
        receivedAtMs: Date.now(),
        credentials: create(CredentialsSchema, {
          meshId: MESH_ID,
          authorityKey: root.publicKey,
          natsUrls: [natsUrl],
          expiresAt,
        }),
        mapState: create(MapStateSchema, { ...hub.position, digest: hub.map.digest() }),
      };
    },
  };
}

export interface TestAgent extends AsyncDisposable {
  readonly agent: Agent;
  readonly kernel: FakeKernel;
  readonly log: RecordingLog;
  /** Resolves when the agent has ended. */
  readonly running: Promise<void>;
  /** Ends the agent as SIGTERM does; the kernel stays as it is. */
  stop(): Promise<void>;
}

export interface TestAgentOptions {
  readonly stateDirectory: string;
  readonly membership: Membership;
  readonly kernel?: FakeKernel;
  /** Without one no probe goes, and every remote gateway counts as up. */
  readonly openProbeSocket?: OpenProbeSocket;
  readonly settings?: Partial<AgentSettings>;
  /** What the agent joins with when the hub has forgotten it. */
  readonly rejoin?: () => Promise<Membership>;
}

/** Starts an agent that runs until it is stopped. */
export async function startTestAgent(options: TestAgentOptions): Promise<TestAgent> {
  const { stateDirectory, membership, kernel = new FakeKernel(), openProbeSocket = NEVER_OPEN } = options;
  const log = createRecordingLog();
  const controller = new AbortController();
  const agent = await Agent.open({
    stateDirectory,
    membership,
    identity: await ensureIdentity(stateDirectory),
    kernel,
    openProbeSocket,
    settings: { ...SETTINGS, ...options.settings },
    rejoin: options.rejoin,
    verify,
    resolve: async () => [],
    clock: systemClock,
    random: () => Math.random() / 4, // what waits full jitter waits less: here is no herd to spread
    log,
    signal: controller.signal,
  });
  const running = agent.run();
  const stop = async () => {
    controller.abort(new Error("the test stops the agent"));
    await running;
  };
  return { agent, kernel, log, running, stop, [Symbol.asyncDispose]: stop };
}

const NEVER_OPEN: OpenProbeSocket = () => new Promise(() => {});

const SETTINGS: AgentSettings = {
  endpoints: [{ host: "192.0.2.1", basePort: 51820 }],
  basePort: 51820,
  probePort: DEFAULT_PROBE_PORT,
  draining: false,
  dataplane: "kernel",
  version: "test",
  mtuBytes: 1420,
  ipv6: "off",
  snat: [],
  resilientBuckets: DEFAULT_RESILIENT_BUCKETS,
  routing: DEFAULT_ROUTING,
  rotation: { drainMs: 300, absentAfterMs: 20_000 },
  kernelRelease: "test",
  sysctls: [],
};

/** A directory of the test's own. */
export async function makeTestDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "spanwire-agent-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function newSigner(): Signer {
  const { publicKey, sign } = createSigner(generateSigningKey().privateKey);
  return { publicKey, sign: async (message) => sign(message) };
}
