/** @module A registry for tests that takes the decisions it is asked for, as a hub would write them. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Admission,
  ClusterKind,
  type Epoch,
  EpochSchema,
  type Mesh,
  MeshSchema,
  StatementSchema,
} from "@spanwire/proto/record";
import { parseCidr } from "../address/cidr.ts";
import { clusterKey, gatewayKey } from "../records/key.ts";
import { compareOrders, formatOrder, type Order } from "../records/order.ts";
import type { HeldStatement } from "../records/record-map.ts";
import { type Admitted, admit, type JoinRequest } from "./admit.ts";
import type { Refused } from "./refusal.ts";
import type { Registry } from "./registry.ts";
import type { Ending } from "./revoke.ts";
import type { Updated } from "./update.ts";

export const OVERLAY_IPV4 = "198.18.0.0/15";

export interface TestRegistry extends Registry {
  readonly admissions: Map<string, Admission>;
  readonly statements: Map<string, HeldStatement>;
  readonly banned: Set<string>;
  /** Writes a decision. Throws for an order that does not grow. */
  write(decision: Admitted | Updated | Ending | Refused): void;
  /** Stores a statement of the admitted gateway, with one key made from the byte. */
  say(clusterId: string, ordinal: number, options?: { readonly generation?: bigint; readonly keyByte?: number }): void;
}

export function testRegistry(mesh: MessageInitShape<typeof MeshSchema> = {}): TestRegistry {
  const records = new Map<string, { readonly order: Order; readonly isEnded: boolean }>();
  const admissions = new Map<string, Admission>();
  const statements = new Map<string, HeldStatement>();
  const banned = new Set<string>();
  const put = (key: string, order: Order, isEnded: boolean): void => {
    const held = records.get(key)?.order;
    if (held !== undefined && compareOrders(order, held) <= 0) {
      throw new Error(`record "${key}": order ${formatOrder(order)} does not come after ${formatOrder(held)}`);
    }
    records.set(key, { order, isEnded });
  };
  const putAdmission = (admission: Admission, order: Order): void => {
    put(clusterKey(admission.clusterId), order, false);
    admissions.set(admission.clusterId, admission);
  };
  return {
    mesh: testMesh(mesh),
    admissions,
    statements,
    banned,
    orderOf: (key) => records.get(key)?.order,
    isEnded: (key) => records.get(key)?.isEnded ?? false,
    isBanned: (nkey) => banned.has(nkey),
    prefixesOf: ({ prefixes }) => prefixes.map(parseCidr),
    write(decision) {
      if (!decision.ok) throw new Error(`${decision.reason}: ${decision.message}`);
      if ("tombstones" in decision) {
        for (const { key, order } of decision.tombstones) {
          put(key, order, true);
          statements.delete(key);
          if (key.startsWith("cluster.")) admissions.delete(key.slice("cluster.".length));
        }
        for (const nkey of decision.nkeys) banned.add(nkey);
        if (decision.admission) putAdmission(decision.admission.admission, decision.admission.order);
      } else if (decision.changed) {
        putAdmission(decision.admission, "order" in decision ? decision.order : decision.clusterOrder);
        if ("replacedNkeys" in decision) for (const nkey of decision.replacedNkeys) banned.add(nkey);
      }
    },
    say(clusterId, ordinal, { generation = 1n, keyByte = 0 } = {}) {
      const gateway = admissions.get(clusterId)?.gateways.find((each) => each.ordinal === ordinal);
      const order = { incarnation: gateway?.incarnation ?? 0n, generation };
      put(gatewayKey(clusterId, ordinal), order, false);
      statements.set(gatewayKey(clusterId, ordinal), { statement: testStatement(clusterId, ordinal, keyByte), order });
    },
  };
}

export function testMesh(mesh: MessageInitShape<typeof MeshSchema> = {}): Mesh {
  return create(MeshSchema, { overlayIpv4: OVERLAY_IPV4, overlayIpv6: "fd5a:1::/48", maxGateways: 2, ...mesh });
}

export function testEpoch(active = 0n): Epoch {
  return create(EpochSchema, { active });
}

export function testStatement(clusterId: string, ordinal: number, keyByte = 0) {
  return create(StatementSchema, {
    clusterId,
    ordinal,
    endpoints: [{ host: "192.0.2.1", basePort: 51_820 }],
    keys: [{ plane: 1, epoch: 0n, publicKey: new Uint8Array(32).fill(keyByte) }],
  });
}

export interface TestJoin {
  /** Makes identity and nkey. */
  readonly identity: number;
  readonly prefixes?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly kind?: ClusterKind;
  readonly ordinal?: number;
  readonly tokenOrdinal?: number;
  readonly nkey?: string;
}

export function testJoin(clusterId: string, join: TestJoin): JoinRequest {
  const { identity, prefixes = [], labels = {}, kind = ClusterKind.VM, ordinal, nkey = `U${identity}` } = join;
  return {
    registration: {
      clusterId,
      kind,
      prefixes: [...prefixes],
      labels: { ...labels },
      nkey,
      certificateRequest: new Uint8Array(),
      ...(ordinal !== undefined && { ordinal }),
    },
    identityKey: new Uint8Array(32).fill(identity),
    tokenOrdinal: join.tokenOrdinal,
    notAfter: undefined,
  };
}

/** Admits and writes; throws when it is refused. */
export function join(registry: TestRegistry, clusterId: string, how: TestJoin): Admitted {
  const decision = admit(registry, testJoin(clusterId, how));
  registry.write(decision);
  if (!decision.ok) throw new Error(decision.message);
  return decision;
}
