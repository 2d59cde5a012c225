/** @module The state port in memory, for tests: it behaves, and can be taken away, rolled back and purged. */
import { FakeBucket } from "./fake-bucket.ts";
import { requireClusterKey } from "./key-rules.ts";
import type { MapBucket, RegistryBucket, StateStore, StatusBucket } from "./port.ts";

export interface FakeStateStore extends StateStore {
  /** The bucket behind `map`, for what only a test does: delete, purge, roll back. */
  readonly mapStore: FakeBucket;
  readonly registryStore: FakeBucket;
  /** Takes all buckets out of reach, until `comeBack`. */
  goAway(): void;
  comeBack(): void;
  /** Makes the map's store anew and empty, as if its directory was lost. */
  recreateMap(): void;
}

export function createFakeStateStore(): FakeStateStore {
  const mapStore = new FakeBucket("sw-map");
  const registryStore = new FakeBucket("sw-registry");
  const statusStore = new FakeBucket("sw-status");
  const all = [mapStore, registryStore, statusStore];
  let stores = 1;

  const map: MapBucket = {
    ...reading(mapStore),
    put: async (key, bytes, { expectedRevision }) => mapStore.writeKey(key, bytes, expectedRevision),
    async putCluster(key, bytes, { expectedClustersSequence: sequence }) {
      requireClusterKey(key);
      return mapStore.write(key, bytes, { sequence, covers: isCluster });
    },
    lastClustersSequence: async () => mapStore.lastSequenceOf(isCluster),
    entries: async () => ({ sequence: mapStore.sequence, entries: await mapStore.list() }),
    status: async () => ({
      created: `store ${stores}`,
      lastSequence: mapStore.sequence,
      keys: mapStore.keyCount,
    }),
  };
  const registry: RegistryBucket = {
    ...reading(registryStore),
    create: async (key, bytes) => registryStore.writeKey(key, bytes, 0),
    update: async (key, bytes, { expectedRevision }) => registryStore.writeKey(key, bytes, expectedRevision),
    delete: async (key, expected) =>
      expected === undefined
        ? registryStore.write(key, undefined)
        : registryStore.writeKey(key, undefined, expected.expectedRevision),
  };
  const status: StatusBucket = {
    ...reading(statusStore),
    put: async (key, bytes) => void statusStore.write(key, bytes),
  };

  return {
    map,
    registry,
    status,
    mapStore,
    registryStore,
    goAway() {
      for (const bucket of all) bucket.goAway();
    },
    comeBack() {
      for (const bucket of all) bucket.comeBack();
    },
    recreateMap() {
      stores += 1;
      mapStore.rollBack();
    },
  };
}

function reading(bucket: FakeBucket) {
  return {
    get: (key: string) => bucket.get(key),
    list: (prefix?: string) => bucket.list(prefix),
    watch: (options: { prefix?: string; signal: AbortSignal }) => bucket.watch(options),
  };
}

function isCluster(key: string): boolean {
  return /^cluster\.[^.]+$/.test(key);
}
