/** @module What the audit log is verified against: the authority's key, which the hub itself cannot choose. */
import { SpanwireError } from "@spanwire/core/errors";
import type { RecordMapOptions } from "@spanwire/core/records/record-map";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import type { Session } from "./session.ts";

/** As the operator's context file has it. */
export async function trustOf(session: Session, context: string | undefined): Promise<RecordMapOptions> {
  const { meshId, authorityKey } = await session.context(context);
  return { meshId, authorityKey, verify: createVerify(), sha256 };
}

/** As somebody was told it, who has no context file. */
export function trustIn(key: string, meshId: string | undefined): RecordMapOptions {
  const authorityKey = new Uint8Array(Buffer.from(key, "base64"));
  if (meshId !== undefined && authorityKey.length === 32)
    return { meshId, authorityKey, verify: createVerify(), sha256 };
  throw new SpanwireError("invalid", "--authority-key has 32 bytes in base64, and --mesh goes with it");
}
