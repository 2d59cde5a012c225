/**
 * @module Writes what is signed for clusters so that no two hubs decide by different maps: each write expects that no
 * `cluster.*` was written since the map it was decided by.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Registry, registryOf } from "@spanwire/core/admission/registry";
import type { Signer } from "@spanwire/core/records/crypto";
import { clusterKey } from "@spanwire/core/records/key";
import type { Order } from "@spanwire/core/records/order";
import { sealRecord } from "@spanwire/core/records/seal";
import type { Clock } from "@spanwire/core/time";
import type { Admission, PayloadSchema } from "@spanwire/proto/record";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createInTurn } from "@spanwire/runtime/loop/in-turn";
import { refusal } from "../refusal.ts";
import type { HubMap } from "../state/mesh-view.ts";
import type { StateStore } from "../state/port.ts";

export interface Signers {
  /** The root authority: admissions and policy. */
  readonly root: Signer;
  /** The delegated online key: tombstones, epochs and heads. */
  readonly online: Signer;
}

export interface WriterOptions {
  readonly store: StateStore;
  readonly map: HubMap;
  readonly meshId: string;
  readonly signers: Signers;
  readonly clock: Clock;
}

/** What a decision asks to be written under a cluster's key. */
export type ClusterWrite =
  | { readonly admission: Admission; readonly order: Order }
  | { readonly tombstone: string; readonly clusterId: string; readonly order: Order };

export interface Decided<T> {
  readonly value: T;
  /** Undefined when it is so already. */
  readonly write: ClusterWrite | undefined;
}

export interface Committed<T> {
  readonly value: T;
  /** The map holds the decision from here on, and this hub's copy of it does. */
  readonly sequence: number;
}

export interface AdmissionWriter {
  /** The map as it is; throws `STORE_AWAY` while it may be out of date. */
  registry(): Registry;
  /**
   * Decides by the whole map and writes what was decided; decides again when another hub was faster. What `decide` reads
   * from the store is at least as new as the map. Throws what `decide` throws, or `STORE_AWAY` or `BUSY` (retryable).
   */
  commit<T>(decide: (registry: Registry) => Promise<Decided<T>>, signal: AbortSignal): Promise<Committed<T>>;
}

/** Of several hubs that write at the same time one succeeds each time. */
const ATTEMPTS = 20;
const LONGEST_PAUSE_MS = 50;

export function createAdmissionWriter(options: WriterOptions): AdmissionWriter {
  // This hub's own writes wait for each other: as conflicts, n of them would cost n² decisions and signatures.
  const inTurn = createInTurn();
  const registry = createRegistry(options.map);
  return {
    registry,
    commit: (decide, signal) => inTurn(() => commit(options, registry, decide, signal)),
  };
}

async function commit<T>(
  options: WriterOptions,
  registryNow: () => Registry,
  decide: (registry: Registry) => Promise<Decided<T>>,
  signal: AbortSignal,
): Promise<Committed<T>> {
  const { store, map, clock } = options;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    signal.throwIfAborted();
    const registry = registryNow();
    const { sequence, clustersSequence: expectedClustersSequence } = map;
    const { value, write } = await decide(registry);
    if (write === undefined) return { value, sequence };
    const { key, bytes } = await seal(options, write);
    const written = await store.map.putCluster(key, bytes, { expectedClustersSequence });
    if (written.ok) {
      await map.waitFor(written.revision, signal);
      return { value, sequence: written.revision };
    }
    await map.waitFor(await store.map.lastClustersSequence(), signal);
    await clock.sleep((LONGEST_PAUSE_MS * attempt) / ATTEMPTS, signal);
  }
  throw refusal("BUSY", "other hubs are writing admissions at the same time: try again in a moment");
}

/** One registry for all decisions: it reads the prefixes of each admission once. */
function createRegistry(map: HubMap): () => Registry {
  let registry: Registry | undefined;
  return () => {
    // Bans are read from the store, where they must be newer than the map: not known here.
    registry ??= registryOf(map.records, () => false);
    if (registry !== undefined && map.isCurrent) return registry;
    throw refusal("STORE_AWAY", "the hub cannot reach its store: try again in a moment");
  };
}

async function seal(options: WriterOptions, write: ClusterWrite): Promise<{ key: string; bytes: Uint8Array }> {
  const { signers, clock, meshId } = options;
  const isTombstone = "tombstone" in write;
  const key = clusterKey(isTombstone ? write.clusterId : write.admission.clusterId);
  const body: MessageInitShape<typeof PayloadSchema>["body"] = isTombstone
    ? { case: "tombstone", value: { reason: write.tombstone } }
    : { case: "admission", value: write.admission };
  const payload = { key, ...write.order, issuedAt: timestampFromMs(clock.now()), body };
  const signer = isTombstone ? signers.online : signers.root;
  return { key, bytes: await sealRecord(meshId, payload, { signer, sha256 }) };
}
