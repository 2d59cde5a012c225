/** @module The cryptography that the pure code needs, as arguments: `@spanwire/runtime/crypto` has the real one. */

/** Whether `signature` (64 bytes) of `message` is by the Ed25519 key `publicKey` (32 bytes). Never throws. */
export type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

/** Signs with a key the caller chose; 64 bytes. May ask a remote signer, so it is not for deciding code. */
export interface Signer {
  /** Raw Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** 32 bytes, of bytes or of UTF-8 text. */
export type Sha256 = (data: Uint8Array | string) => Uint8Array;

/** The first 8 bytes of the key's SHA-256: says which key to try, proves nothing. */
export function keyIdOf(publicKey: Uint8Array, sha256: Sha256): Uint8Array {
  return sha256(publicKey).subarray(0, 8);
}
