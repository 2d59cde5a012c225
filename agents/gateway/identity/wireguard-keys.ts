/** @module The gateway's WireGuard keys: one for each epoch, shared by the lanes of that epoch's plane. */
import { join } from "node:path";
import type { Plane } from "@spanwire/core/desired/state";
import { generateWireGuardKey, type WireGuardKey, wireGuardPublicKey } from "@spanwire/runtime/crypto/wireguard-key";
import { ensureKey } from "./key-file.ts";

export interface EpochKey extends WireGuardKey {
  readonly epoch: bigint;
  readonly plane: Plane;
}

/** Epoch e lives on plane a if e is even, on b if odd. */
export function planeOf(epoch: bigint): Plane {
  return epoch % 2n === 0n ? "a" : "b";
}

/** Loads the key of an epoch, making it when it was never made. */
export async function ensureEpochKey(stateDirectory: string, epoch: bigint): Promise<EpochKey> {
  const path = join(stateDirectory, `wireguard-${epoch}.key`);
  const privateKey = await ensureKey(path, () => generateWireGuardKey().privateKey);
  return { epoch, plane: planeOf(epoch), privateKey, publicKey: wireGuardPublicKey(privateKey) };
}
