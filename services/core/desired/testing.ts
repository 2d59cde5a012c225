/** @module Whole meshes for tests, from a few words about each cluster. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import {
  type Admission,
  AdmissionSchema,
  DefaultLinks,
  type Epoch,
  EpochSchema,
  EpochState,
  GatewayState,
  type LinkPolicy,
  LinkPolicySchema,
  type Mesh,
  MeshSchema,
  StatementSchema,
} from "@spanwire/proto/record";
import { gatewayKey } from "../records/key.ts";
import type { HeldStatement } from "../records/record-map.ts";
import { type Compiled, createCompiler } from "./compile.ts";
import { planeOfEpoch } from "./lane.ts";
import {
  DEFAULT_BASE_PORT,
  DEFAULT_MTU_BYTES,
  DEFAULT_RESILIENT_BUCKETS,
  DEFAULT_ROUTING,
  type Liveness,
  type LocalFacts,
  type Pairs,
} from "./local-facts.ts";
import type { MapView } from "./map-view.ts";
import { printDesired } from "./print.ts";

export interface TestCluster {
  readonly id: string;
  readonly block: number;
  readonly prefixes: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly gateways?: readonly TestGateway[];
}

export interface TestGateway {
  readonly ordinal: number;
  readonly incarnation?: bigint;
  /** Absent is one, made from block and ordinal; none for a gateway that dials the others. */
  readonly hosts?: readonly string[];
  readonly draining?: boolean;
  /** Whether it has said anything yet. */
  readonly silent?: boolean;
}

/** A map whose records a test may replace. */
export interface TestMap extends MapView {
  mesh: Mesh;
  linkPolicy: LinkPolicy;
  epoch: Epoch;
  readonly admissions: Map<string, Admission>;
  readonly statements: Map<string, HeldStatement>;
}

export interface TestMesh {
  readonly clusters: readonly TestCluster[];
  readonly policy?: MessageInitShape<typeof LinkPolicySchema>;
  readonly epoch?: { readonly active: bigint; readonly opening?: bigint };
  readonly maxGateways?: number;
}

export function testMap({ clusters, policy, epoch = { active: 0n }, maxGateways = 2 }: TestMesh): TestMap {
  const map: TestMap = {
    mesh: create(MeshSchema, {
      meshId: "mesh-test",
      overlayIpv4: "198.18.0.0/15",
      overlayIpv6: "fd5a:1::/48",
      maxGateways,
    }),
    linkPolicy: create(LinkPolicySchema, { defaultLinks: DefaultLinks.FULL_MESH, ...policy }),
    epoch: create(EpochSchema, {
      state: epoch.opening === undefined ? EpochState.STEADY : EpochState.OPEN,
      ...epoch,
    }),
    admissions: new Map(),
    statements: new Map(),
    unknownKeys: () => [],
  };
  for (const cluster of clusters) putCluster(map, cluster);
  return map;
}

/** Writes a cluster's admission and its gateways' statements, in place of what was there. */
export function putCluster(map: TestMap, cluster: TestCluster): void {
  dropCluster(map, cluster.id);
  map.admissions.set(cluster.id, testAdmission(cluster));
  for (const gateway of cluster.gateways ?? ONE_GATEWAY) {
    if (gateway.silent !== true) putStatement(map, cluster, gateway);
  }
}

export function dropCluster(map: TestMap, id: string): void {
  map.admissions.delete(id);
  for (const key of map.statements.keys()) if (key.startsWith(`gateway.${id}.`)) map.statements.delete(key);
}

export function testAdmission({ id, block, prefixes, labels = {}, gateways = ONE_GATEWAY }: TestCluster): Admission {
  return create(AdmissionSchema, {
    clusterId: id,
    prefixes: [...prefixes],
    overlayIndex: block,
    labels,
    gateways: gateways.map(({ ordinal, incarnation = 1n }) => ({ ordinal, incarnation })),
  });
}

export function putStatement(map: TestMap, cluster: Pick<TestCluster, "id" | "block">, gateway: TestGateway): void {
  const { ordinal, incarnation = 1n, hosts = [`192.0.2.${cluster.block * 16 + ordinal + 1}`] } = gateway;
  const { active, opening } = map.epoch;
  const init: MessageInitShape<typeof StatementSchema> = {
    clusterId: cluster.id,
    ordinal,
    endpoints: hosts.map((host) => ({ host, basePort: DEFAULT_BASE_PORT })),
    keys: [active, ...(opening === undefined ? [] : [opening])].map((epoch) => ({
      plane: planeOfEpoch(epoch) === "a" ? 1 : 2,
      epoch,
      publicKey: testPublicKey(cluster.block, ordinal, epoch),
    })),
    state: gateway.draining === true ? GatewayState.DRAINING : GatewayState.SERVING,
  };
  const order = { incarnation, generation: 1n };
  map.statements.set(gatewayKey(cluster.id, ordinal), { statement: create(StatementSchema, init), order });
}

/** Another 32 bytes for each (block, ordinal, epoch), so that goldens can be read. */
export function testPublicKey(block: number, ordinal: number, epoch: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint16(0, block);
  bytes[2] = ordinal;
  bytes[3] = Number(epoch);
  return bytes;
}

/** The facts of one gateway of a map: it holds the keys that its statement says. */
export function testLocal(map: TestMap, clusterId: string, ordinal = 0, facts: Partial<LocalFacts> = {}): LocalFacts {
  const statement = map.statements.get(gatewayKey(clusterId, ordinal))?.statement;
  return {
    clusterId,
    ordinal,
    keys: (statement?.keys ?? []).map(({ epoch, publicKey }) => ({ epoch, publicKey: base64Encode(publicKey) })),
    basePort: DEFAULT_BASE_PORT,
    mtuBytes: DEFAULT_MTU_BYTES,
    ipv6: "guarded",
    connected: [],
    localRoutes: [],
    defaultRoutes: [],
    loneAddresses: [],
    notForwarding: [],
    ipv6Forwarding: true,
    control: [],
    snat: [],
    resilientBuckets: DEFAULT_RESILIENT_BUCKETS,
    routing: DEFAULT_ROUTING,
    ...facts,
  };
}

/** Compiles from scratch. */
export function compileOnce(
  view: MapView,
  local: LocalFacts,
  liveness: Liveness = new Map(),
  pairs: Pairs = new Map(),
): Compiled {
  const compiled = createCompiler().compile({ view, local, liveness, pairs });
  if (compiled === undefined) throw new Error("the map lacks mesh, epoch or link policy");
  return compiled;
}

/** The whole plan of a gateway as text. */
export function planOf(mesh: TestMesh, clusterId: string, facts: Partial<LocalFacts> = {}): string {
  const map = testMap(mesh);
  return printDesired(compileOnce(map, testLocal(map, clusterId, 0, facts)).desired);
}

/** The lines of a plan that begin with one of `starts`, with the indented ones below them. */
export function linesOf(plan: string, ...starts: readonly string[]): string {
  const blocks = plan.split(/\n(?! )/);
  return blocks.filter((block) => starts.some((start) => block.startsWith(start))).join("\n");
}

/** Three clusters of many tests: two with two gateways, one that nobody can dial. */
export const EU = { id: "eu", block: 0, prefixes: ["10.1.0.0/16"], gateways: [{ ordinal: 0 }, { ordinal: 1 }] };
export const US = { id: "us", block: 1, prefixes: ["10.2.0.0/16"], gateways: [{ ordinal: 0 }, { ordinal: 1 }] };
export const PLANT = { id: "plant", block: 2, prefixes: ["10.3.0.0/24"], gateways: [{ ordinal: 0, hosts: [] }] };

const ONE_GATEWAY: readonly TestGateway[] = [{ ordinal: 0 }];
