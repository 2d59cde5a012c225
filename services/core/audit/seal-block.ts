/** @module Makes the signed blocks of the audit log. */
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AuditBlockSchema, AuditCheckpointSchema } from "@spanwire/proto/audit";
import type { Sha256, Signer } from "../records/crypto.ts";
import { auditSigningInput } from "../records/signing-input.ts";
import { chainHash, type Head } from "./chain.ts";
import { type AuditFacts, encodeEntry } from "./entry.ts";

export interface BlockSealer {
  readonly meshId: string;
  /** Who writes: "host/process id". */
  readonly hub: string;
  /** The delegated online key. */
  readonly signer: Signer;
  /** The stored record by which the root delegates to it. */
  readonly delegation: () => Uint8Array;
  readonly sha256: Sha256;
}

export interface SealedBlock {
  readonly bytes: Uint8Array;
  /** Where the chain is after it. */
  readonly head: Head;
}

/**
 * The block of these entries, which follow `head`; without entries the signed end of the log. Like `sealRecord` it awaits
 * only its signer.
 */
export async function sealBlock(
  { meshId, hub, signer, delegation, sha256 }: BlockSealer,
  facts: readonly AuditFacts[],
  { head, nowMs }: { readonly head: Head; readonly nowMs: number },
): Promise<SealedBlock> {
  const entries = facts.map((each, at) => encodeEntry(each, { sequence: head.sequence + BigInt(at) + 1n, hub }));
  const sequence = head.sequence + BigInt(entries.length);
  const hash = chainHash(head.hash, entries, sha256);
  const said = { sequence, hash, previous: head.hash, time: timestampFromMs(nowMs), end: entries.length === 0 };
  const checkpoint = toBinary(AuditCheckpointSchema, create(AuditCheckpointSchema, said));
  const signature = await signer.sign(auditSigningInput(meshId, checkpoint));
  const block = create(AuditBlockSchema, { entries, checkpoint, signature, delegation: delegation() });
  return { bytes: toBinary(AuditBlockSchema, block), head: { sequence, hash } };
}
