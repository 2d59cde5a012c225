/** @module What the registry keeps of an invite: whose tokens let a cluster's workloads join. Nothing in it is secret. */

import { SpanwireError } from "@spanwire/core/errors";
import type { Invite } from "@spanwire/core/identity/invite";
import type { WorkloadRule } from "@spanwire/core/identity/workload-rule";
import { z } from "zod";
import type { KeySource } from "../oidc/issuer-keys.ts";

export interface InviteRecord {
  readonly clusterId: Invite["clusterId"];
  readonly source: KeySource;
  /** What `iss` must be; undefined takes what the issuer says of itself, or anything where only keys were given. */
  readonly issuer?: string | undefined;
  readonly audience: string;
  readonly rule: WorkloadRule;
  readonly createdAtMs: number;
  /** The map's lineage when it was made. In a later one it is void: it may have been withdrawn before the store was lost. */
  readonly lineage: bigint;
}

export const INVITE_PREFIX = "invite.";

export function inviteKey(clusterId: string): string {
  return `${INVITE_PREFIX}${clusterId}`;
}

const bigint = z.codec(z.string().regex(/^\d+$/), z.bigint(), { decode: BigInt, encode: String });
const schema = z.strictObject({
  clusterId: z.string(),
  source: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("given"), jwks: z.string() }),
    z.strictObject({ kind: z.literal("published"), url: z.string(), caPem: z.string().optional() }),
  ]),
  issuer: z.string().optional(),
  audience: z.string(),
  rule: z.strictObject({
    subject: z.string(),
    claims: z.record(z.string(), z.string()),
    ordinal: z.union([z.strictObject({ fixed: z.int() }), z.strictObject({ pointer: z.string() })]),
    instancePointer: z.string(),
  }),
  createdAtMs: z.number(),
  lineage: bigint,
});

export function encodeInvite(invite: InviteRecord): Uint8Array {
  return Buffer.from(JSON.stringify(z.encode(schema, invite as z.output<typeof schema>)));
}

/** Throws `corrupt` for what `encodeInvite` has not written. */
export function decodeInvite(key: string, stored: Uint8Array): InviteRecord {
  try {
    return schema.parse(JSON.parse(Buffer.from(stored).toString()));
  } catch (cause) {
    throw new SpanwireError("corrupt", `registry key "${key}": not an invite`, { cause });
  }
}
