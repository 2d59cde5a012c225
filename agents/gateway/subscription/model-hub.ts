/** @module A hub in memory for tests: a store with a sequence, heads and snapshots, which can be rolled back. */
import type { Signer } from "@spanwire/core/records/crypto";
import { RecordMap } from "@spanwire/core/records/record-map";
import { MESH_ID, type recordsBy, type TestCrypto } from "@spanwire/core/records/testing";
import type { Message } from "./intake.ts";
import type { Position } from "./position.ts";
import type { Snapshot } from "./snapshot-assembly.ts";

export interface ModelHubOptions {
  readonly root: Signer;
  readonly online: Signer;
  readonly by: ReturnType<typeof recordsBy>;
  readonly crypto: TestCrypto;
}

type Copy = { readonly sequence: bigint; readonly store: ReadonlyMap<string, Uint8Array> };

export class ModelHub {
  map: RecordMap;
  readonly #options: ModelHubOptions;
  #lineage = 1n;
  #sequence = 0n;
  #store = new Map<string, Uint8Array>();

  constructor(options: ModelHubOptions) {
    this.#options = options;
    this.map = this.#emptyMap();
  }

  get position(): Position {
    return { lineage: this.#lineage, sequence: this.#sequence };
  }

  /** Stores a record if it is newer; gives what is republished. */
  write(key: string, bytes: Uint8Array): Message | undefined {
    if (this.map.offer(key, bytes).kind !== "accepted") return undefined;
    this.#store.set(key, bytes);
    return { key, bytes, sequence: ++this.#sequence };
  }

  /** Somebody with access to the store deletes a key behind the hub's back. */
  delete(key: string): Message {
    this.#store.delete(key);
    return { key, bytes: new Uint8Array(), sequence: ++this.#sequence };
  }

  copy(): Copy {
    return { sequence: this.#sequence, store: new Map(this.#store) };
  }

  /** Puts an old copy in the place of the store; the hub makes a new lineage of it only where it notices. */
  rollBack({ sequence, store }: Copy, { noticed }: { readonly noticed: boolean }): void {
    if (noticed) this.#lineage += 1n;
    this.#sequence = sequence;
    this.#store = new Map(store);
    this.map = this.#emptyMap();
    for (let pass = 0; pass < 3; pass++) for (const [key, bytes] of store) this.map.offer(key, bytes);
  }

  snapshot(): Snapshot {
    const entries = [...this.map.records()]
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .map(({ key, bytes }) => ({ $typeName: "spanwire.v1.SnapshotEntry" as const, key, record: bytes }));
    return { position: this.position, digest: this.map.digest(), entries };
  }

  head(hubTimeMs: number): Promise<Uint8Array> {
    const { by, online } = this.#options;
    return by.sign(online, {
      key: "head",
      incarnation: this.#lineage,
      generation: this.#sequence,
      body: {
        case: "head",
        value: {
          hubTime: { seconds: BigInt(Math.floor(hubTimeMs / 1_000)), nanos: (hubTimeMs % 1_000) * 1_000_000 },
          digest: this.map.digest(),
        },
      },
    });
  }

  #emptyMap(): RecordMap {
    return new RecordMap({ meshId: MESH_ID, authorityKey: this.#options.root.publicKey, ...this.#options.crypto });
  }
}
