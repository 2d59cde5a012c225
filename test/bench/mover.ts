/** @module The site whose endpoint changes, and the control's write of the same size. */
import { join } from "node:path";
import { gatewayKey } from "@spanwire/core/records/key";
import { ensureEpochKey } from "@spanwire/gateway/identity/wireguard-keys";
import { statementContent } from "@spanwire/gateway/statement-content";
import { openOwnStatement } from "@spanwire/gateway/subscription/own-statement";
import type { StateStore } from "@spanwire/hub/state/port";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { createSigner, generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import type { Joined } from "./join-all.ts";
import { BASE_PORT, identityOf, type KeyedRecord, type Site, statementSettingsOf } from "./made-up-mesh.ts";
import { type Stage, write } from "./stage.ts";

export interface Mover {
  /** Signs the next statement, with another address than the one before. */
  next(): Promise<KeyedRecord>;
  /** Stores it, as the hub does for a gateway; resolves when it is stored. */
  write(statement: KeyedRecord): Promise<void>;
}

const ADDRESSES = 250;

export async function createMover({ store, authority }: Stage, { directory }: Joined, site: Site): Promise<Mover> {
  const { clusterId } = site;
  const { meshId } = authority.mesh;
  const { signer } = identityOf(site);
  const stateDirectory = join(directory, clusterId);
  const self = { clusterId, ordinal: 0 };
  const own = await openOwnStatement({ stateDirectory, self, incarnation: 1n, meshId, signer, clock: systemClock });
  const keys = [await ensureEpochKey(stateDirectory, 0n)];
  let revision = (await store.map.get(gatewayKey(clusterId, 0)))?.revision ?? 0;
  let moves = 0;
  return {
    next() {
      moves += 1;
      const endpoints = [{ host: `192.0.2.${1 + (moves % ADDRESSES)}`, basePort: BASE_PORT }];
      return own.seal(statementContent({ ...statementSettingsOf(site), endpoints }, keys));
    },
    async write(statement) {
      revision = await write(store, statement, revision);
    },
  };
}

export interface ControlWriter {
  /** Of what is written: the signature, then what it covers. */
  readonly publicKey: Uint8Array;
  write(): Promise<void>;
}

const SIGNATURE_BYTES = 64;

/** Writes as many bytes as those of `example`, under the same key. */
export function createControlWriter(store: StateStore, { key, bytes }: KeyedRecord): ControlWriter {
  const { publicKey, signNow } = createSigner(generateSigningKey().privateKey);
  let revision = 0;
  return {
    publicKey,
    async write() {
      const message = randomBytes(bytes.length - SIGNATURE_BYTES);
      revision = await write(store, { key, bytes: Buffer.concat([signNow(message), message]) }, revision);
    },
  };
}
