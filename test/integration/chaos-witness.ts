/** @module Remembers the highest order seen of each record, wherever it was seen, and what was said at each order. */
import { fromBinary } from "@bufbuild/protobuf";
import { compareOrders, formatOrder, type Order } from "@spanwire/core/records/order";
import type { Entry } from "@spanwire/gateway/subscription/offer-all";
import { PayloadSchema, RecordSchema } from "@spanwire/proto/record";

export interface Witness {
  see(entries: readonly Entry[]): void;
  /** Two payloads that were seen of one order. */
  readonly forks: readonly string[];
  /** Records that are lost or older than what was seen, in words. */
  fallen(now: readonly Entry[]): readonly string[];
}

export function createWitness(): Witness {
  const highest = new Map<string, Order>();
  const said = new Map<string, string>();
  const forks: string[] = [];
  return {
    forks,
    see(entries) {
      for (const { key, order, payload } of entries.map(read)) {
        const at = `${key} ${formatOrder(order)}`;
        if ((said.get(at) ?? payload) !== payload) forks.push(at);
        said.set(at, payload);
        const former = highest.get(key);
        if (former === undefined || compareOrders(order, former) > 0) highest.set(key, order);
      }
    },
    fallen(now) {
      const held = new Map(now.map(read).map(({ key, order }) => [key, order]));
      return [...highest].flatMap(([key, seen]) => {
        const order = held.get(key);
        if (order !== undefined && compareOrders(order, seen) >= 0) return [];
        return [`${key}: ${order === undefined ? "gone" : formatOrder(order)}, and was ${formatOrder(seen)}`];
      });
    },
  };
}

function read({ record }: Entry) {
  const { payload } = fromBinary(RecordSchema, record);
  const { key, incarnation, generation } = fromBinary(PayloadSchema, payload);
  return { key, order: { incarnation, generation }, payload: Buffer.from(payload).toString("hex") };
}
