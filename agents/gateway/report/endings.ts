/** @module Which peers a tombstone ends, and whether the kernel still holds any of them. */
import type { Desired } from "@spanwire/core/desired/desired";
import { parseKey } from "@spanwire/core/records/key";
import type { OpenedRecord } from "@spanwire/core/records/open";
import { observePeers } from "../dataplane/observe.ts";
import type { Kernel } from "../kernel/port.ts";
import type { AbsentRecord } from "./acknowledger.ts";

/** A tombstone with the public keys of the peers that may have gone with it. */
export interface Ending {
  readonly key: string;
  readonly incarnation: bigint;
  readonly generation: bigint;
  readonly publicKeys: readonly string[];
}

/** The tombstones among these records, with the peers that their clusters have in the wish as it was before them. */
export function findEndings(records: readonly OpenedRecord[], before: Desired | undefined): Ending[] {
  return records.flatMap(({ key, order, payload }) => {
    if (payload.body.case !== "tombstone") return [];
    const parsed = parseKey(key);
    const isPeer = parsed.type === "cluster" || parsed.type === "gateway";
    const peers = isPeer ? (before?.clusters.get(parsed.clusterId)?.peers ?? []) : [];
    return [{ key, ...order, publicKeys: peers.map(({ publicKey }) => publicKey) }];
  });
}

/** Leaves out the keys that the wish still has: another gateway of the cluster, for instance. */
export function withoutWanted(ending: Ending, wanted: Desired | undefined): Ending {
  const parsed = parseKey(ending.key);
  if (parsed.type !== "cluster" && parsed.type !== "gateway") return ending;
  const still = new Set(wanted?.clusters.get(parsed.clusterId)?.peers.map(({ publicKey }) => publicKey));
  return { ...ending, publicKeys: ending.publicKeys.filter((key) => !still.has(key)) };
}

export interface Absence {
  readonly absent: readonly AbsentRecord[];
  /** Those of which a lane still has a peer. */
  readonly present: readonly Ending[];
}

/** Reads all lanes once. */
export async function observeAbsence(kernel: Kernel, endings: readonly Ending[], now: () => number): Promise<Absence> {
  const keys = new Set(endings.flatMap(({ publicKeys }) => publicKeys));
  const held = await observePeers(kernel, keys);
  const absentAtMs = now();
  const isPresent = ({ publicKeys }: Ending) => publicKeys.some((key) => held.has(key));
  return {
    absent: endings
      .filter((ending) => !isPresent(ending))
      .map(({ key, incarnation, generation }) => ({ key, incarnation, generation, absentAtMs })),
    present: endings.filter(isPresent),
  };
}
