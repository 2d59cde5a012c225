/** @module Proves possession of the identity key for one call: signs the server's nonce and the hash of the body. */
import type { Signer } from "@spanwire/core/records/crypto";
import { proofSigningInput } from "@spanwire/core/records/signing-input";
import type { RegistrationService } from "@spanwire/proto/registration";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import type { ServiceClient, UnaryOptions } from "@spanwire/runtime/grpc/client";

/** What Register, Renew and Leave have in common. */
export interface ProvenRequest {
  readonly body: Uint8Array;
  readonly proof: { readonly nonce: Uint8Array; readonly identityKey: Uint8Array; readonly signature: Uint8Array };
}

/** Asks for a nonce and makes the request of it; `method` is its name in the service, so that no proof serves another. */
export async function prove(
  client: ServiceClient<typeof RegistrationService>,
  method: "Register" | "Renew" | "Leave",
  body: Uint8Array,
  { signer, ...options }: UnaryOptions & { readonly signer: Signer },
): Promise<ProvenRequest> {
  const { nonce } = await client.challenge({}, options);
  const signature = await signer.sign(proofSigningInput(method, nonce, sha256(body)));
  return { body, proof: { nonce, identityKey: signer.publicKey, signature } };
}
