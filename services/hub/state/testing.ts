/** @module A hub's map over a store in tests: real keys, a clock that stands still, incidents kept. */
import { Secret } from "@spanwire/core/identity/secret";
import type { Signer } from "@spanwire/core/records/crypto";
import { MESH_ID, recordsBy } from "@spanwire/core/records/testing";
import type { Clock } from "@spanwire/core/time";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createSigner } from "@spanwire/runtime/crypto/signing-key";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { type HubMap, type MapIncident, startHubMap } from "./mesh-view.ts";
import type { StateStore } from "./port.ts";

export const crypto = { sha256, verify: createVerify() };

/** Always the same key for the same number. */
export function signerFrom(seed: number): Signer {
  return createSigner(new Secret(new Uint8Array(32).fill(seed)));
}

export const root = signerFrom(1);
export const online = signerFrom(2);
export const by = recordsBy(root, crypto);

export interface TestHubMap extends AsyncDisposable {
  readonly map: HubMap;
  readonly incidents: MapIncident[];
  /** Lets two checks pass on the standing clock, so that whatever is wrong is noticed and put right. */
  settle(): Promise<void>;
}

export function followMap(store: StateStore, options: { readonly clock?: Clock } = {}): TestHubMap {
  const standing = new FakeClock(1_000);
  const { clock = standing } = options;
  const controller = new AbortController();
  const incidents: MapIncident[] = [];
  const map = startHubMap({
    store,
    trust: { meshId: MESH_ID, authorityKey: root.publicKey, ...crypto },
    clock,
    random: () => 0.5,
    onIncident: (incident) => incidents.push(incident),
    signal: controller.signal,
  });
  return {
    map,
    incidents,
    async settle() {
      for (let step = 0; step < 10; step++) await standing.advance(1_000);
    },
    async [Symbol.asyncDispose]() {
      controller.abort();
      await map.done;
    },
  };
}

/** Writes records over whatever is there, as often as a hub that puts others back is faster. */
export async function writeRecords(store: StateStore, records: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [key, bytes] of Object.entries(records)) {
    for (let isWritten = false; !isWritten; ) {
      const expectedRevision = (await store.map.get(key))?.revision ?? 0;
      isWritten = (await store.map.put(key, bytes, { expectedRevision })).ok;
    }
  }
}
