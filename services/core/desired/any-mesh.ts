/** @module Meshes and their changes for property tests: few clusters of few prefixes, so that links, transit and ends meet. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type AllowSchema,
  DefaultLinks,
  Direction,
  type LinkPolicySchema,
  Protocol,
  type SelectorSchema,
} from "@spanwire/proto/record";
import fc from "fast-check";
import { gatewayKey } from "../records/key.ts";
import type { Changed } from "./compile.ts";
import type { PairLanes } from "./local-facts.ts";
import {
  dropCluster,
  putCluster,
  putStatement,
  type TestCluster,
  type TestGateway,
  type TestMap,
  type TestMesh,
  testMap,
} from "./testing.ts";

const IDS = ["c0", "c1", "c2", "c3", "c4"] as const;

const anyGateway: fc.Arbitrary<Omit<TestGateway, "ordinal">> = fc.record(
  {
    hosts: fc.constantFrom([], ["192.0.2.7"], ["gw.example", "2001:db8::7"], ["198.18.0.1"], ["10.1.0.9"]),
    draining: fc.boolean(),
    silent: fc.boolean(),
  },
  { requiredKeys: [] },
);

function anyCluster(block: number): fc.Arbitrary<TestCluster> {
  const prefixes = [`10.${block}.0.0/24`, `10.${block}.1.0/24`, `fd00:${block + 1}::/48`];
  return fc.record({
    id: fc.constant(IDS[block] ?? ""),
    block: fc.constant(block),
    prefixes: fc.subarray(prefixes),
    labels: fc.record({ role: fc.constantFrom("hub", "spoke") }),
    gateways: fc
      .dictionary(fc.constantFrom("0", "1", "2"), anyGateway, { maxKeys: 3 })
      .map((byOrdinal) => Object.entries(byOrdinal).map(([ordinal, rest]) => ({ ...rest, ordinal: Number(ordinal) }))),
  });
}

const anySelector: fc.Arbitrary<SelectorInit> = fc.oneof<fc.Arbitrary<SelectorInit>[]>(
  fc.record({ clusters: fc.subarray([...IDS], { maxLength: 2 }) }),
  fc.record({ labels: fc.record({ role: fc.constantFrom("hub", "spoke") }) }),
);

type PolicyInit = MessageInitShape<typeof LinkPolicySchema>;
type SelectorInit = MessageInitShape<typeof SelectorSchema>;

const anyAllow: fc.Arbitrary<MessageInitShape<typeof AllowSchema>> = fc.record(
  {
    direction: fc.constantFrom(Direction.BOTH, Direction.LEFT_TO_RIGHT, Direction.RIGHT_TO_LEFT),
    protocol: fc.constantFrom(Protocol.ANY, Protocol.TCP),
    sources: fc.subarray(["10.0.0.0/8", "10.1.0.0/25", "fd00::/16"]),
    destinations: fc.subarray(["10.2.0.0/15"]),
  },
  { requiredKeys: ["direction", "protocol"] },
);

const anyPolicy: fc.Arbitrary<PolicyInit> = fc.record({
  defaultLinks: fc.constantFrom(DefaultLinks.FULL_MESH, DefaultLinks.NONE),
  links: fc.array(
    fc.record({
      name: fc.constant("link"),
      left: anySelector,
      right: anySelector,
      allow: fc.array(anyAllow, { maxLength: 2 }),
      transit: fc.constantFrom("", "", "c0", "c1"),
      deny: fc.boolean(),
    }),
    { maxLength: 3 },
  ),
});

const anyEpoch = fc.constantFrom<NonNullable<TestMesh["epoch"]>>(
  { active: 0n },
  { active: 1n },
  { active: 2n, opening: 3n },
);

export const anyMesh: fc.Arbitrary<TestMesh> = fc.record({
  clusters: fc.tuple(...IDS.map((_, block) => anyCluster(block))).chain((all) => fc.subarray(all)),
  policy: anyPolicy,
  epoch: anyEpoch,
  maxGateways: fc.constantFrom(2, 3),
});

export type Step =
  | { readonly kind: "put"; readonly cluster: TestCluster }
  | { readonly kind: "drop"; readonly id: string }
  | { readonly kind: "say"; readonly id: (typeof IDS)[number]; readonly gateway: TestGateway }
  | { readonly kind: "silence"; readonly id: string; readonly ordinal: number }
  | {
      readonly kind: "liveness";
      readonly id: string;
      readonly ordinal: number;
      readonly down: boolean;
    }
  | { readonly kind: "pair"; readonly id: string; readonly ordinal: number; readonly lanes: PairLanes }
  | { readonly kind: "policy"; readonly policy: PolicyInit }
  | { readonly kind: "epoch"; readonly epoch: NonNullable<TestMesh["epoch"]> };

const EPOCHS = [0n, 1n, 2n, 3n];
const anyId = fc.constantFrom(...IDS);
export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .nat(4)
      .chain(anyCluster)
      .map((cluster) => ({ kind: "put" as const, cluster })),
  },
  { weight: 2, arbitrary: anyId.map((id) => ({ kind: "drop" as const, id })) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("say" as const),
      id: anyId,
      gateway: fc.tuple(anyGateway, fc.nat(2)).map(([rest, ordinal]) => ({ ...rest, ordinal })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("silence" as const), id: anyId, ordinal: fc.nat(2) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("liveness" as const),
      id: anyId,
      ordinal: fc.nat(2),
      down: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("pair" as const),
      id: anyId,
      ordinal: fc.nat(2),
      lanes: fc.record({ build: fc.subarray(EPOCHS), sendOn: fc.constantFrom(...EPOCHS, undefined) }),
    }),
  },
  { weight: 1, arbitrary: anyPolicy.map((policy) => ({ kind: "policy" as const, policy })) },
  { weight: 1, arbitrary: anyEpoch.map((epoch) => ({ kind: "epoch" as const, epoch })) },
);

export interface Seen {
  readonly liveness: Map<string, { readonly down: boolean }>;
  readonly pairs: Map<string, PairLanes>;
}

/** Takes the step and says what a compiler must be told of it. */
export function take(step: Step, map: TestMap, { liveness, pairs }: Seen): Changed {
  switch (step.kind) {
    case "put":
      putCluster(map, step.cluster);
      return new Set([step.cluster.id]);
    case "drop":
      dropCluster(map, step.id);
      return new Set([step.id]);
    case "say":
      putStatement(map, { id: step.id, block: IDS.indexOf(step.id) }, step.gateway);
      return new Set([step.id]);
    case "silence":
      map.statements.delete(gatewayKey(step.id, step.ordinal));
      return new Set([step.id]);
    case "liveness":
      liveness.set(`${step.id}.${step.ordinal}`, { down: step.down });
      return new Set([step.id]);
    case "pair":
      pairs.set(`${step.id}.${step.ordinal}`, step.lanes);
      return new Set([step.id]);
    case "policy":
      map.linkPolicy = testMap({ clusters: [], policy: step.policy }).linkPolicy;
      return "all";
    case "epoch":
      map.epoch = testMap({ clusters: [], epoch: step.epoch }).epoch;
      return "all";
    default:
      return step satisfies never;
  }
}
