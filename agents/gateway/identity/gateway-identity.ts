/** @module Who this gateway is: the keys that sign its records and open its connections. */
import { join } from "node:path";
import type { Secret } from "@spanwire/core/identity/secret";
import type { Signer } from "@spanwire/core/records/crypto";
import { createNkeyPair, type NkeyPair } from "@spanwire/runtime/crypto/nkey";
import { createSigner, generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import { ensureKey } from "./key-file.ts";

export interface GatewayIdentity {
  /** Ed25519: proves calls to the hub, signs statements and acknowledgements. */
  readonly signer: Signer;
  /** The private half of `signer`, for TLS. */
  readonly privateKey: Secret;
  /** The NATS user ("U…"). */
  readonly nkey: NkeyPair;
}

/** Loads the identity from the state directory, making what was never made. The private halves never leave it. */
export async function ensureIdentity(stateDirectory: string): Promise<GatewayIdentity> {
  const newKey = () => generateSigningKey().privateKey;
  const privateKey = await ensureKey(join(stateDirectory, "identity.key"), newKey);
  const nkey = await ensureKey(join(stateDirectory, "nats.key"), newKey);
  const { publicKey, sign } = createSigner(privateKey);
  return {
    signer: { publicKey, sign: async (message) => sign(message) },
    privateKey,
    nkey: createNkeyPair("user", nkey),
  };
}
