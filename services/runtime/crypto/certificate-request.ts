/** @module A PKCS #10 certificate request (RFC 2986) for an Ed25519 key: proof for issuers that ask for one. */
import type { Signer } from "@spanwire/core/records/crypto";
import { signingKeySpki } from "./signing-key.ts";

/** The DER around key and signature: version 0, no name; no attributes; the algorithm (RFC 8410), a bit string. */
const BEFORE_KEY = Buffer.from("30330201003000", "hex");
const AFTER_KEY = Buffer.from("a000", "hex");
const BEFORE_SIGNATURE = Buffer.from("300506032b6570034100", "hex");
const WHOLE = Buffer.from("307f", "hex");

/** Says nothing but "this key is mine"; always the same bytes for a key. Gives DER. */
export async function encodeEd25519Request(signer: Signer): Promise<Uint8Array<ArrayBuffer>> {
  const information = Buffer.concat([BEFORE_KEY, signingKeySpki(signer.publicKey), AFTER_KEY]);
  return new Uint8Array(Buffer.concat([WHOLE, information, BEFORE_SIGNATURE, await signer.sign(information)]));
}
