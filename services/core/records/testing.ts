/** @module Signers and records for tests: real Ed25519 keys, made from a number so that a failure repeats. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PayloadSchema } from "@spanwire/proto/record";
import type { Sha256, Signer, Verify } from "./crypto.ts";
import { RecordMap } from "./record-map.ts";
import { sealRecord } from "./seal.ts";

export const MESH_ID = "mesh-test";

export interface TestCrypto {
  readonly verify: Verify;
  readonly sha256: Sha256;
}

type PayloadInit = MessageInitShape<typeof PayloadSchema> & { key: string };

/** A root authority with its map, and short ways to sign. */
export function recordsBy(root: Signer, crypto: TestCrypto) {
  const sign = (signer: Signer, payload: PayloadInit) =>
    sealRecord(MESH_ID, payload, { signer, sha256: crypto.sha256 });
  return {
    emptyMap: () => new RecordMap({ meshId: MESH_ID, authorityKey: root.publicKey, ...crypto }),
    sign,
    delegation: (online: Signer, generation = 1n) =>
      sign(root, {
        key: "delegation",
        incarnation: 1n,
        generation,
        body: { case: "delegation", value: { onlineKey: online.publicKey } },
      }),
    admission: (clusterId: string, gateways: readonly Signer[], { incarnation = 1n, generation = 1n } = {}) =>
      sign(root, {
        key: `cluster.${clusterId}`,
        incarnation,
        generation,
        body: {
          case: "admission",
          value: {
            clusterId,
            prefixes: ["10.1.0.0/16"],
            gateways: gateways.map(({ publicKey }, ordinal) => ({ ordinal, identityKey: publicKey, incarnation })),
          },
        },
      }),
    statement: (signer: Signer, clusterId: string, options: StatementOptions = {}) =>
      sign(signer, {
        key: `gateway.${clusterId}.${options.ordinal ?? 0}`,
        incarnation: options.incarnation ?? 1n,
        generation: options.generation ?? 1n,
        body: {
          case: "statement",
          value: {
            clusterId,
            ordinal: options.ordinal ?? 0,
            endpoints: [{ host: options.host ?? "192.0.2.1", basePort: 51820 }],
            keys: options.publicKey === undefined ? [] : [{ plane: 1, epoch: 0n, publicKey: options.publicKey }],
          },
        },
      }),
  };
}

export interface StatementOptions {
  readonly ordinal?: number;
  readonly incarnation?: bigint;
  readonly generation?: bigint;
  readonly host?: string;
  readonly publicKey?: Uint8Array;
}
