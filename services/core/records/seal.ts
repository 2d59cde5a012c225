/** @module Makes signed records. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { PayloadSchema, RecordSchema } from "@spanwire/proto/record";
import { keyIdOf, type Sha256, type Signer } from "./crypto.ts";
import { recordSigningInput } from "./signing-input.ts";

/**
 * Encodes and signs a payload: the bytes of a Record, to be stored and forwarded as they are.
 *
 * Awaits its signer, which may be a remote one; nothing here waits for itself.
 */
export async function sealRecord(
  meshId: string,
  payload: MessageInitShape<typeof PayloadSchema> & { key: string },
  { signer, sha256 }: { signer: Signer; sha256: Sha256 },
): Promise<Uint8Array> {
  const bytes = toBinary(PayloadSchema, create(PayloadSchema, payload));
  const value = await signer.sign(recordSigningInput(meshId, payload.key, bytes));
  const signature = { keyId: keyIdOf(signer.publicKey, sha256), value };
  return toBinary(RecordSchema, create(RecordSchema, { payload: bytes, signatures: [signature] }));
}
