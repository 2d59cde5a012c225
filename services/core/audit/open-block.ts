/** @module A block of the audit log as it was stored: decoded, and whether its signature is to be believed. */
import { fromBinary } from "@bufbuild/protobuf";
import { type AuditBlock, AuditBlockSchema, type AuditCheckpoint, AuditCheckpointSchema } from "@spanwire/proto/audit";
import type { Verify } from "../records/crypto.ts";
import { DELEGATION_KEY } from "../records/key.ts";
import { RecordMap, type RecordMapOptions } from "../records/record-map.ts";
import { auditSigningInput } from "../records/signing-input.ts";

export interface OpenedBlock {
  /** Serialized entries. */
  readonly entries: readonly Uint8Array[];
  readonly checkpoint: AuditCheckpoint;
}

export type Opening =
  | { readonly ok: true; readonly block: OpenedBlock }
  /** The block is there as far as it could be read. */
  | { readonly ok: false; readonly why: string; readonly block: OpenedBlock | undefined };

/** Opens blocks in the order of the log: once a newer delegation was seen, an older key is not believed any more. */
export function createBlockOpener(trust: RecordMapOptions): (block: AuditBlock) => Opening {
  const records = new RecordMap(trust);
  return ({ entries, checkpoint: signed, signature, delegation }) => {
    const checkpoint = decodeCheckpoint(signed);
    if (checkpoint === undefined) return { ok: false, why: "it has no checkpoint", block: undefined };
    const block = { entries, checkpoint };
    const offered = records.offer(DELEGATION_KEY, delegation);
    if (offered.kind !== "accepted" && offered.kind !== "known") {
      return { ok: false, why: "its key is not one that the authority has delegated to", block };
    }
    if (!isSigned(trust, { key: records.delegation?.onlineKey, signed, signature })) {
      return { ok: false, why: "its signature is not that of the delegated key", block };
    }
    return { ok: true, block };
  };
}

/** Undefined for bytes that are no block. */
export function decodeBlock(bytes: Uint8Array): AuditBlock | undefined {
  try {
    return fromBinary(AuditBlockSchema, bytes);
  } catch {
    return undefined;
  }
}

/** What its checkpoint says, believed or not. */
export function openUnverified({ checkpoint }: AuditBlock): AuditCheckpoint | undefined {
  return decodeCheckpoint(checkpoint);
}

interface Signed {
  readonly key: Uint8Array | undefined;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

function isSigned(
  { verify, meshId }: { readonly verify: Verify; readonly meshId: string },
  { key, signed, signature }: Signed,
): boolean {
  return key !== undefined && verify(key, auditSigningInput(meshId, signed), signature);
}

function decodeCheckpoint(bytes: Uint8Array): AuditCheckpoint | undefined {
  try {
    return fromBinary(AuditCheckpointSchema, bytes);
  } catch {
    return undefined;
  }
}
