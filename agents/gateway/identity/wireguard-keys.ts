/** @module The gateway's WireGuard keys: one for each epoch, shared by the lanes of that epoch's plane. */
import { join } from "node:path";
import { planeOfEpoch } from "@spanwire/core/desired/lane";
import type { Plane } from "@spanwire/core/desired/state";
import { generateWireGuardKey, type WireGuardKey, wireGuardPublicKey } from "@spanwire/runtime/crypto/wireguard-key";
import { ensureKey } from "./key-file.ts";

export interface EpochKey extends WireGuardKey {
  readonly epoch: bigint;
  readonly plane: Plane;
}

/** Loads the key of an epoch, making it when it was never made. */
export async function ensureEpochKey(stateDirectory: string, epoch: bigint): Promise<EpochKey> {
  const path = join(stateDirectory, `wireguard-${epoch}.key`);
  const privateKey = await ensureKey(path, () => generateWireGuardKey().privateKey);
  return { epoch, plane: planeOfEpoch(epoch), privateKey, publicKey: wireGuardPublicKey(privateKey) };
}
