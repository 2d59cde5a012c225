/** @module Compares what kernels hold with what the hub's map wants of them. */
import { gatewayKey } from "@spanwire/core/records/key";
import { RecordMap } from "@spanwire/core/records/record-map";
import { type Entry, offerAll } from "@spanwire/gateway/subscription/offer-all";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { type ChaosGateway, nameOf } from "./chaos-gateway.ts";
import type { ChaosHub } from "./chaos-hub.ts";

export interface Difference {
  readonly gateway: string;
  /** Where the map says that it is, undefined before it names a key; and where it is. */
  readonly said: string | undefined;
  readonly host: string;
  readonly holds: string;
  readonly wanted: string;
}

/** Reads the hub's map. */
export function readEntries(hub: ChaosHub): Promise<readonly Entry[]> {
  return hub.ask(async (fleet, options) => {
    const entries: Entry[] = [];
    for await (const { chunk } of fleet.getMap({}, options)) entries.push(...(chunk?.entries ?? []));
    return entries;
  });
}

/** Lists the gateways whose kernel, or whose address in the hub's map, is not as it should be. */
export async function listDifferences(
  hub: ChaosHub,
  gateways: readonly ChaosGateway[],
  entries?: readonly Entry[],
): Promise<readonly Difference[]> {
  const { meshId, authorityKey } = await hub.context();
  const map = new RecordMap({ meshId, authorityKey, verify: createVerify(), sha256 });
  offerAll(map, entries ?? (await readEntries(hub)));
  const compared = gateways.map(async (gateway) => {
    const { clusterId, ordinal, host, kernel } = gateway;
    const statement = map.statements.get(gatewayKey(clusterId, ordinal))?.statement;
    const hasKey = statement?.keys.some(({ epoch }) => epoch === map.epoch?.active) === true;
    const said = hasKey ? statement?.endpoints[0]?.host : undefined;
    const [holds, wanted] = [kernel.toString(), await gateway.wanted(map)];
    return { gateway: nameOf(gateway), said, host, holds, wanted };
  });
  return (await Promise.all(compared)).filter(({ said, host, holds, wanted }) => said !== host || holds !== wanted);
}
