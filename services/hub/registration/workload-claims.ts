/** @module Workloads in the registry: who has joined at which ordinal. Every write is compare-and-set. */
import { SpanwireError } from "@spanwire/core/errors";
import { equalBytes } from "@spanwire/core/records/digest";
import { z } from "zod";
import { refusal } from "../refusal.ts";
import type { RegistryBucket } from "../state/port.ts";
import { judgeWorkloadClaim, type WorkloadClaim, type WorkloadShown } from "./judge-workload-claim.ts";

const PREFIX = "workload.";

function claimKey(clusterId: string, ordinal: number): string {
  return `${PREFIX}${clusterId}.${ordinal}`;
}

const bytes = z.codec(z.base64(), z.instanceof(Uint8Array), {
  decode: (text) => new Uint8Array(Buffer.from(text, "base64")),
  encode: (value) => Buffer.from(value).toString("base64"),
});
const schema = z.strictObject({
  instance: z.string(),
  identityKey: bytes,
  issuedAtS: z.number(),
  revokedAtMs: z.number().optional(),
});

function encode(claim: WorkloadClaim): Uint8Array {
  return Buffer.from(JSON.stringify(z.encode(schema, claim as z.output<typeof schema>)));
}

function decode(key: string, stored: Uint8Array): WorkloadClaim {
  try {
    return schema.parse(JSON.parse(Buffer.from(stored).toString()));
  } catch (cause) {
    throw new SpanwireError("corrupt", `registry key "${key}": not a workload's claim`, { cause });
  }
}

/** Claims the ordinal for an instance and its identity: the commit of a registration. Else throws the refusal. */
export async function claimOrdinal(
  registry: RegistryBucket,
  { clusterId, ordinal }: { readonly clusterId: string; readonly ordinal: number },
  shown: WorkloadShown,
): Promise<void> {
  const key = claimKey(clusterId, ordinal);
  for (;;) {
    const entry = await registry.get(key);
    const verdict = judgeWorkloadClaim(entry && decode(key, entry.bytes), shown, `${clusterId}.${ordinal}`);
    if (verdict.kind === "refused") throw refusal(verdict.reason, verdict.message);
    if (verdict.kind === "claimed") return;
    const claim = encode(verdict.claim);
    const written = entry
      ? await registry.update(key, claim, { expectedRevision: entry.revision })
      : await registry.create(key, claim);
    if (written.ok) return;
  }
}

/** Makes the instances that have joined with these identities stay out for ever. Idempotent. */
export async function revokeClaims(
  registry: RegistryBucket,
  clusterId: string,
  { identityKeys, nowMs }: { readonly identityKeys: readonly Uint8Array[]; readonly nowMs: number },
): Promise<void> {
  for (const { key } of await registry.list(`${PREFIX}${clusterId}.`)) {
    for (let isDone = false; !isDone; ) {
      const entry = await registry.get(key);
      const claim = entry && decode(key, entry.bytes);
      const isMeant = identityKeys.some((each) => claim !== undefined && equalBytes(each, claim.identityKey));
      if (entry === undefined || claim === undefined || !isMeant || claim.revokedAtMs !== undefined) break;
      const revoked = encode({ ...claim, revokedAtMs: nowMs });
      isDone = (await registry.update(key, revoked, { expectedRevision: entry.revision })).ok;
    }
  }
}
