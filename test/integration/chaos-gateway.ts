/**
 * @module A gateway that is killed at any moment: the real agent over a fake kernel that outlives it.
 *
 * It lives in the test's process, so its SIGKILL is made of parts: its disk is copied between two of its steps (with what
 * the thread pool was writing half written), in the same step it is aborted, its kernel takes nothing from it any more,
 * and whatever else it still does is done to a disk that nobody reads again.
 */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";
import { create } from "@bufbuild/protobuf";
import { DEFAULT_RESILIENT_BUCKETS, DEFAULT_ROUTING } from "@spanwire/core/desired/local-facts";
import type { Secret } from "@spanwire/core/identity/secret";
import type { RecordMap } from "@spanwire/core/records/record-map";
import type { AgentSettings } from "@spanwire/gateway/agent-options";
import { networkFacts } from "@spanwire/gateway/dataplane/local-networks";
import { Reconciler } from "@spanwire/gateway/dataplane/reconcile";
import { ensureIdentity } from "@spanwire/gateway/identity/gateway-identity";
import { listEpochKeys } from "@spanwire/gateway/identity/wireguard-keys";
import { ensureMembership } from "@spanwire/gateway/join/join";
import type { Change } from "@spanwire/gateway/kernel/change";
import { FakeKernel } from "@spanwire/gateway/kernel/fake/fake-kernel";
import type { DataplaneSettings } from "@spanwire/gateway/local-facts";
import { Planner } from "@spanwire/gateway/planner";
import type { ReportedCondition } from "@spanwire/gateway/report/map-conditions";
import { MapStore } from "@spanwire/gateway/subscription/map-store";
import type { Entry } from "@spanwire/gateway/subscription/offer-all";
import { NOWHERE, type Position } from "@spanwire/gateway/subscription/position";
import { startTestAgent, type TestAgent } from "@spanwire/gateway/testing";
import { ClusterKind } from "@spanwire/proto/record";
import { CredentialsSchema } from "@spanwire/proto/registration";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { systemRandom } from "@spanwire/runtime/crypto/random";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";

export interface ChaosGateway extends AsyncDisposable {
  readonly clusterId: string;
  readonly ordinal: number;
  /** Of its identity, in hex. */
  readonly identityKey: string;
  readonly kernel: FakeKernel;
  /** Every change of its kernel, in the order they were made. */
  readonly changes: readonly Change[];
  /** How often each device was made. */
  readonly made: ReadonlyMap<string, number>;
  /** Where it says it can be reached. */
  readonly host: string;
  readonly reconciles: number;
  readonly conditions: readonly ReportedCondition[];
  readonly position: Position;
  /** How many records that the hub's store had lost it has given back, in this life. */
  readonly handedBack: number;
  /** Resolves with what its disk held then, when it runs again. Does nothing while it is down. */
  kill(downMs: number, host?: string): Promise<readonly Entry[]>;
  /** Ends it for good. */
  stop(): Promise<void>;
  /** The end of its log. */
  lastWords(): string;
  /** What a new kernel is given for this map by the pure core, as text. */
  wanted(map: RecordMap): Promise<string>;
}

export interface ChaosGatewayOptions {
  /** Of its own, empty. */
  readonly directory: string;
  readonly token: Secret;
  readonly prefixes: readonly string[];
  readonly host: string;
  /** After which a first attempt to join is given up, whatever came of it. */
  readonly patienceMs: number;
  /** Where it connects in the place of what the hub says: a relay. */
  readonly natsUrl?: string;
  readonly settings?: Partial<AgentSettings>;
}

const BASE_PORT = 51_820;
const DATAPLANE: DataplaneSettings = {
  basePort: BASE_PORT,
  mtuBytes: 1420,
  ipv6: "off",
  snat: [],
  resilientBuckets: DEFAULT_RESILIENT_BUCKETS,
  routing: DEFAULT_ROUTING,
};
const JOIN_MS = 60_000;
const LAST_WORDS = 12;

/** Returns when it was admitted, knows it, and runs. */
export async function startChaosGateway(options: ChaosGatewayOptions): Promise<ChaosGateway> {
  let stateDirectory = join(options.directory, "life-0");
  const joined = await joinTwice(stateDirectory, options);
  const credentials = create(CredentialsSchema, {
    ...joined.credentials,
    ...(options.natsUrl !== undefined && { natsUrls: [options.natsUrl] }),
  });
  const membership = { ...joined, credentials };
  const { clusterId, ordinal } = membership;
  const identity = await ensureIdentity(stateDirectory);
  const kernel = new FakeKernel();
  const made = new Map<string, number>();
  const changes: Change[] = [];
  let isDead = false;
  kernel.refuse = (change) => {
    if (isDead) return "whoever asks was killed";
    changes.push(change);
    if (change.kind === "add-dummy-link" || change.kind === "add-wireguard-link")
      made.set(change.name, (made.get(change.name) ?? 0) + 1);
    return undefined;
  };
  let { host } = options;
  let lives = 0;
  let running: TestAgent | undefined;
  const start = async () => {
    const settings = {
      ...DATAPLANE,
      endpoints: [{ host, basePort: BASE_PORT }],
      lookEveryMs: 100,
      ...options.settings,
    };
    running = await startTestAgent({ stateDirectory, membership, kernel, settings });
  };
  await start();

  return {
    clusterId,
    ordinal,
    identityKey: Buffer.from(identity.signer.publicKey).toString("hex"),
    kernel,
    changes,
    made,
    get host() {
      return host;
    },
    get reconciles() {
      return running?.agent.state.reconciles ?? 0;
    },
    get conditions() {
      return running?.agent.state.conditions ?? [];
    },
    get position() {
      return running?.agent.state.position ?? NOWHERE;
    },
    get handedBack() {
      const events = running?.log.events ?? [];
      return events.filter(({ message }) => message.startsWith("handed back")).length;
    },
    async kill(downMs, changedHost = host) {
      if (running === undefined) return [];
      const killed = running;
      running = undefined;
      lives += 1;
      const left = copyNow(stateDirectory, join(options.directory, `life-${lives}`));
      isDead = true;
      await killed.stop();
      isDead = false;
      stateDirectory = left;
      host = changedHost;
      const { entries } = await new MapStore(left).load();
      await delay(downMs);
      await start();
      return entries;
    },
    async stop() {
      await running?.stop();
    },
    lastWords() {
      const events = running?.log.events.slice(-LAST_WORDS) ?? [];
      return events.map(({ message, fields }) => `${message} ${inspect(fields, { breakLength: 1_000 })}`).join("\n");
    },
    async wanted(map) {
      const fresh = new FakeKernel();
      const planner = new Planner(map, { clusterId, ordinal }, DATAPLANE);
      // Read only: the agent makes them, and may be about to.
      const keys = await listEpochKeys(stateDirectory);
      planner.observe({
        keys: keys.filter(({ epoch }) => epoch === (map.epoch?.active ?? 0n)),
        ...networkFacts(await fresh.network.host()),
        control: ["127.0.0.1"],
      });
      const planned = planner.plan("all");
      if (planned === undefined) throw new Error("the hub's map lacks mesh, epoch or link policy");
      await new Reconciler(fresh).full(() => planned.compiled.desired);
      return fresh.toString();
    },
    async [Symbol.asyncDispose]() {
      await running?.stop();
    },
  };
}

/** The first attempt may be cut off with its answer on the way; the second has only what the disk then holds. */
async function joinTwice(stateDirectory: string, { token, prefixes, patienceMs }: ChaosGatewayOptions) {
  const identity = await ensureIdentity(stateDirectory);
  const attempt = (signal: AbortSignal) =>
    ensureMembership({
      stateDirectory,
      identity,
      token,
      clusterId: undefined,
      hubAddress: undefined,
      wish: { kind: ClusterKind.VM, prefixes, labels: {}, ordinal: undefined },
      clock: systemClock,
      random: systemRandom,
      log: createRecordingLog(),
      signal,
    });
  const impatience = AbortSignal.timeout(patienceMs);
  try {
    return await attempt(impatience);
  } catch (error) {
    if (!impatience.aborted) throw error;
    return attempt(AbortSignal.timeout(JOIN_MS));
  }
}

/** In one step, in which no other code of this process runs. */
function copyNow(from: string, to: string): string {
  for (;;) {
    try {
      cpSync(from, to, { recursive: true });
      return to;
    } catch (error) {
      // The thread pool has just renamed a file that was listed.
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
      rmSync(to, { recursive: true, force: true });
    }
  }
}

/** Who a gateway is, in words: its place, and the identity that was admitted to it. */
export function nameOf({
  clusterId,
  ordinal,
  identityKey,
}: Pick<ChaosGateway, "clusterId" | "ordinal" | "identityKey">): string {
  return `${clusterId}/${ordinal} ${identityKey}`;
}
