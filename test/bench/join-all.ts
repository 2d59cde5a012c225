/**
 * @module Sites that have joined and know the whole map: their records in the hub's store, and on disk what their agents
 * would have written. A thousand registrations and first snapshots would take the minutes that the measurement needs.
 */
import { link, readdir } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { RecordMap } from "@spanwire/core/records/record-map";
import { ensureEpochKey } from "@spanwire/gateway/identity/wireguard-keys";
import { statementContent } from "@spanwire/gateway/statement-content";
import { MapStore } from "@spanwire/gateway/subscription/map-store";
import { offerAll } from "@spanwire/gateway/subscription/offer-all";
import { openOwnStatement } from "@spanwire/gateway/subscription/own-statement";
import { trustOf } from "@spanwire/hub/authority/genesis";
import { type MapState, MapStateSchema } from "@spanwire/proto/registration";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { lineageOf } from "./lineage-of.ts";
import { identityOf, type KeyedRecord, type Site, sealAdmission, statementSettingsOf } from "./made-up-mesh.ts";
import type { AgentsFrame } from "./open-agent.ts";
import { type Stage, write } from "./stage.ts";

export interface Joined {
  /** Holds a state directory for each site, named like its cluster. */
  readonly directory: string;
  readonly mapState: MapState;
  /** Records of the map, and the bytes of their keys and themselves. */
  readonly records: number;
  readonly bytes: number;
}

/** Writes under way at once: each waits for the disk. */
const BATCH = 32;

export async function joinAll(stage: Stage, sites: readonly Site[]): Promise<Joined> {
  const directory = join(stage.directory, "agents");
  const { store, authority } = stage;
  const nowMs = systemClock.now();
  await storeEach(stage, sites, (site) => sealAdmission(site, authority, nowMs));
  await storeEach(stage, sites, (site) => firstStatement(stage, site, join(directory, site.clusterId)));

  const { sequence, entries } = await store.map.entries();
  const position = { lineage: await lineageOf(store), sequence: BigInt(sequence) };
  const map = new RecordMap(trustOf(authority, { verify: createVerify(), sha256 }));
  offerAll(
    map,
    entries.map(({ key, bytes }) => ({ key, record: bytes })),
  );
  const shared = join(directory, "shared");
  const mapStore = new MapStore(shared);
  await mapStore.load(); // makes the directory
  await mapStore.save({ cursor: position, horizon: position }, map.records());
  if (mapStore.failure !== undefined) throw new Error(mapStore.failure);
  // Whoever writes one replaces the file, so they can share it until then.
  for (const name of await readdir(shared)) {
    for (const { clusterId } of sites) await link(join(shared, name), join(directory, clusterId, name));
  }
  const bytes = entries.reduce((sum, entry) => sum + entry.key.length + entry.bytes.length, 0);
  const mapState = create(MapStateSchema, { ...position, digest: map.digest() });
  return { directory, mapState, records: entries.length, bytes };
}

export function frameOf({ authority: { mesh, root } }: Stage, { directory, mapState }: Joined): AgentsFrame {
  return { meshId: mesh.meshId, authorityKey: root.publicKey, directory, mapState };
}

/** Made and kept as the site's agent would. */
async function firstStatement({ authority }: Stage, site: Site, stateDirectory: string): Promise<KeyedRecord> {
  const { meshId } = authority.mesh;
  const { signer } = identityOf(site);
  const self = { clusterId: site.clusterId, ordinal: 0 };
  const keys = [await ensureEpochKey(stateDirectory, 0n)];
  const own = await openOwnStatement({ stateDirectory, self, incarnation: 1n, meshId, signer, clock: systemClock });
  return own.seal(statementContent(statementSettingsOf(site), keys));
}

async function storeEach(
  { store }: Stage,
  sites: readonly Site[],
  seal: (site: Site) => Promise<KeyedRecord>,
): Promise<void> {
  for (let at = 0; at < sites.length; at += BATCH) {
    await Promise.all(sites.slice(at, at + BATCH).map(async (site) => write(store, await seal(site), 0)));
  }
}
