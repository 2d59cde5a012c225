/** @module What this gateway says of itself: signed, with a generation that only grows, on disk before anybody hears it. */

import { join } from "node:path";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Signer } from "@spanwire/core/records/crypto";
import { equalBytes } from "@spanwire/core/records/digest";
import { gatewayKey } from "@spanwire/core/records/key";
import { signedBytes } from "@spanwire/core/records/open";
import { compareOrders, type Order } from "@spanwire/core/records/order";
import { sealRecord } from "@spanwire/core/records/seal";
import type { GatewayRef } from "@spanwire/core/subjects";
import type { Clock } from "@spanwire/core/time";
import { PayloadSchema, StatementSchema } from "@spanwire/proto/record";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { readState, writeState } from "@spanwire/runtime/files/state-file";

/** What a statement says, without whose it is. */
export type StatementContent = Omit<
  MessageInitShape<typeof StatementSchema>,
  "clusterId" | "ordinal" | "$typeName" | "$unknown"
>;

export interface SealedStatement {
  readonly key: string;
  readonly order: Order;
  readonly bytes: Uint8Array;
}

export interface OwnStatementOptions {
  readonly stateDirectory: string;
  readonly self: GatewayRef;
  /** Of our identity, as admitted. */
  readonly incarnation: bigint;
  readonly meshId: string;
  readonly signer: Signer;
  readonly clock: Clock;
}

export interface OwnStatement {
  /** The last one sealed; undefined before the first. */
  readonly sealed: SealedStatement | undefined;
  /**
   * Gives a statement that says this, of an order higher than `above` (somebody holds another one of that order): the
   * last one if it will do, else a new one. Throws `unavailable` when it cannot be stored: what was not stored is not
   * said.
   */
  seal(content: StatementContent, above?: Order): Promise<SealedStatement>;
}

const NO_ORDER: Order = { incarnation: 0n, generation: 0n };

/** Reads the last statement. A damaged file is no error: the hub knows the order that it must exceed. */
export async function openOwnStatement(options: OwnStatementOptions): Promise<OwnStatement> {
  const { stateDirectory, self, incarnation, meshId, signer, clock } = options;
  const path = join(stateDirectory, "statement");
  const key = gatewayKey(self.clusterId, self.ordinal);
  let last = await readState(path).then(
    (state) => (state === undefined ? undefined : decode(key, state.bytes)),
    () => undefined,
  );
  if (last?.order.incarnation !== incarnation) last = undefined; // of an identity of former times

  return {
    get sealed() {
      return last;
    },
    async seal(content, above = NO_ORDER) {
      const statement = create(StatementSchema, { ...content, clusterId: self.clusterId, ordinal: self.ordinal });
      const said = toBinary(StatementSchema, statement);
      if (last !== undefined && equalBytes(last.said, said) && compareOrders(last.order, above) > 0) return last;
      // One of a later identity of our ordinal is not ours to exceed: the hub will refuse us, and say so.
      const floor = above.incarnation === incarnation ? above.generation : 0n;
      const generation = max(last?.order.generation ?? 0n, floor) + 1n;
      const order = { incarnation, generation };
      const bytes = await sealRecord(
        meshId,
        { key, ...order, issuedAt: timestampFromMs(clock.now()), body: { case: "statement", value: statement } },
        { signer, sha256 },
      );
      await writeState(path, bytes);
      last = { key, order, bytes, said };
      return last;
    },
  };
}

interface Last extends SealedStatement {
  /** The statement alone, encoded. */
  readonly said: Uint8Array;
}

function decode(key: string, bytes: Uint8Array): Last | undefined {
  try {
    const { incarnation, generation, body } = fromBinary(PayloadSchema, signedBytes({ bytes }));
    if (body.case !== "statement") return undefined;
    return { key, order: { incarnation, generation }, bytes, said: toBinary(StatementSchema, body.value) };
  } catch {
    return undefined;
  }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
