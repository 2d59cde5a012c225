/** @module For netns tests: sites whose gateways are run by this folder's code, on a real kernel. */

import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import {
  DEFAULT_BASE_PORT,
  DEFAULT_MTU_BYTES,
  DEFAULT_RESILIENT_BUCKETS,
  DEFAULT_ROUTING,
} from "@spanwire/core/desired/local-facts";
import { putCluster, type TestCluster, type TestMap, testMap } from "@spanwire/core/desired/testing";
import { gatewayKey } from "@spanwire/core/records/key";
import { PlaneKeySchema, StatementSchema } from "@spanwire/proto/record";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { generateWireGuardKey, type WireGuardKey } from "@spanwire/runtime/crypto/wireguard-key";
import { createTopology, type GatewayMachine, type SiteSpec, type Topology } from "../../../test/netns/topology.ts";
import type { Change } from "../kernel/change.ts";
import { openKernel } from "../kernel/open-kernel.ts";
import type { Kernel } from "../kernel/port.ts";
import type { DataplaneSettings } from "../local-facts.ts";
import { Planner } from "../planner.ts";
import { hostConditions } from "./conditions.ts";
import { Dataplane, type Looked, type Reported } from "./dataplane.ts";
import { networkFacts } from "./local-networks.ts";
import { noteWrites } from "./note-writes.ts";

const SETTINGS: DataplaneSettings = {
  basePort: DEFAULT_BASE_PORT,
  mtuBytes: DEFAULT_MTU_BYTES,
  ipv6: "guarded",
  snat: [],
  resilientBuckets: DEFAULT_RESILIENT_BUCKETS,
  routing: DEFAULT_ROUTING,
};

export interface TrialGateway {
  readonly machine: GatewayMachine;
  readonly kernel: Kernel;
  /** Every change made through the port since the last start. */
  readonly writes: readonly Change[];
  readonly outcomes: readonly Reported[];
  /** Compiles the map as it is and makes that the wish. */
  want(): void;
  /** What an operator is told at the last look, sorted: "PrefixShadowsLocal prefix 10.77.0.0/24". */
  conditions(): readonly string[];
  /** Looks at the whole kernel, as an agent does every 5 s, and returns when all is seen that was there before. */
  look(): Promise<void>;
  start(): Promise<void>;
  /** What a killed agent leaves: the kernel as it is. */
  stop(): Promise<void>;
}

export interface DataplaneTrial extends AsyncDisposable {
  readonly topology: Topology;
  readonly map: TestMap;
  readonly gateways: readonly TrialGateway[];
  gateway(name: string): TrialGateway;
  /** Writes the admission anew, with these prefixes beside the site's own. */
  putSite(name: string, morePrefixes?: readonly string[]): void;
}

/**
 * Builds the sites, one cluster each, and starts every gateway; returns when all kernels are as wanted. `lookEveryMs` is
 * how often a gateway looks although nothing has happened.
 */
export async function startDataplaneTrial(
  sites: readonly SiteSpec[],
  { lookEveryMs }: { readonly lookEveryMs?: number } = {},
): Promise<DataplaneTrial> {
  await using building = new AsyncDisposableStack();
  const topology = building.use(await createTopology({ sites }));
  const keys = new Map<string, WireGuardKey>();
  for (const { name } of sites)
    for (const gateway of topology.site(name).gateways) keys.set(gateway.name, generateWireGuardKey());
  const map = testMap({ clusters: [] });

  const putSite = (name: string, morePrefixes: readonly string[] = []): void => {
    const { prefix, gateways } = topology.site(name);
    const cluster: TestCluster = {
      id: name,
      block: sites.findIndex((site) => site.name === name),
      prefixes: [prefix.ipv4, ...morePrefixes],
      gateways: gateways.map(({ ordinal, underlay }) => ({ ordinal, hosts: [underlay.ipv4] })),
    };
    putCluster(map, cluster);
    for (const { name: gateway, ordinal } of gateways) useKey(map, gatewayKey(name, ordinal), keys.get(gateway));
  };
  for (const { name } of sites) putSite(name);

  const gateways: TrialGateway[] = [];
  for (const { name } of sites) {
    for (const machine of topology.site(name).gateways) {
      // Lanes forward by themselves; the LAN's device is the host's own matter.
      machine.namespace.sysctl({ "ipv4/conf/lan/forwarding": 1 });
      const gateway = createGateway(machine, name, { map, key: keys.get(machine.name), lookEveryMs });
      building.defer(() => gateway.stop());
      building.use(gateway.kernel);
      gateways.push(gateway);
    }
  }
  await Promise.all(gateways.map((gateway) => gateway.start()));

  const resources = building.move();
  return {
    topology,
    map,
    gateways,
    gateway(name) {
      const found = gateways.find(({ machine }) => machine.name === name);
      if (found === undefined) throw new Error(`no gateway ${name}`);
      return found;
    },
    putSite,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Polls; a test's own time limit ends it. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(20);
}

function createGateway(
  machine: GatewayMachine,
  cluster: string,
  { map, key, lookEveryMs }: { map: TestMap; key: WireGuardKey | undefined; lookEveryMs: number | undefined },
): TrialGateway {
  const real = openKernel({ dataplane: { kind: "kernel" }, netns: `/run/netns/${machine.namespace.name}` });
  const writes: Change[] = [];
  const outcomes: Reported[] = [];
  const kernel = noteWrites(real, writes);
  const self = { clusterId: cluster, ordinal: machine.ordinal };
  const keys = key === undefined ? [] : [{ epoch: 0n, plane: "a" as const, ...key }];
  let running: Running | undefined;
  let looked: Looked | undefined;

  const gateway: TrialGateway = {
    machine,
    kernel,
    writes,
    outcomes,
    want() {
      const planned = running?.planner.plan("all");
      if (planned !== undefined) running?.dataplane.want(planned.compiled);
    },
    conditions() {
      const ofHost = looked === undefined ? [] : hostConditions({ ...looked, sysctls: [] });
      return [...(running?.planner.conditions ?? []), ...ofHost]
        .map(({ type, subject }) => `${type} ${subject}`)
        .sort();
    },
    async look() {
      // The first outcome may be of a look that had begun before.
      for (let looks = 0; looks < 2; looks++) {
        const from = outcomes.length;
        running?.dataplane.look();
        await until(() => outcomes.slice(from).some(({ path }) => path === "full"));
      }
    },
    async start() {
      writes.length = 0;
      outcomes.length = 0;
      const planner = new Planner(map, self, SETTINGS);
      planner.observe({ keys, ...networkFacts(await kernel.network.host()) });
      const controller = new AbortController();
      const dataplane = new Dataplane({
        kernel,
        clock: systemClock,
        random: Math.random,
        resolve: async () => [],
        onOutcome: (outcome) => {
          outcomes.push(outcome);
          if ("foreignDrop" in outcome) looked = outcome;
        },
        onFailure: (error) => {
          throw error;
        },
        beforeLook: async () => {
          if (planner.observe(networkFacts(await kernel.network.host()))) gateway.want();
        },
        ...(lookEveryMs === undefined ? {} : { everyMs: lookEveryMs }),
        signal: controller.signal,
      });
      const done = dataplane.run();
      const stop = async () => {
        running = undefined;
        controller.abort();
        await done;
      };
      running = { stop, dataplane, planner };
      gateway.want();
      await until(() => outcomes.length > 0);
    },
    stop: async () => running?.stop(),
  };
  return gateway;
}

interface Running {
  readonly stop: () => Promise<void>;
  readonly dataplane: Dataplane;
  readonly planner: Planner;
}

function useKey(map: TestMap, statementKey: string, key: WireGuardKey | undefined): void {
  const held = map.statements.get(statementKey);
  if (held === undefined || key === undefined) throw new Error(`no statement ${statementKey}`);
  const { clusterId, ordinal, endpoints, state } = held.statement;
  const keys = [create(PlaneKeySchema, { plane: 1, epoch: 0n, publicKey: base64Decode(key.publicKey) })];
  const statement = create(StatementSchema, { clusterId, ordinal, endpoints, state, keys });
  map.statements.set(statementKey, { ...held, statement });
}
