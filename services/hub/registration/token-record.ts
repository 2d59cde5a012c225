/** @module What the registry keeps of a join token: never its secret. */
import { SpanwireError } from "@spanwire/core/errors";
import { z } from "zod";

export interface TokenRecord {
  readonly id: string;
  readonly clusterId: string;
  /** The only ordinal it may take or take over; undefined is any free one. */
  readonly ordinal?: number | undefined;
  readonly secretSha256: Uint8Array;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** The map's lineage when it was made. In a later one it is void: the claim may have been lost with the store. */
  readonly lineage: bigint;
  readonly revokedAtMs?: number | undefined;
  readonly claim?: TokenClaim | undefined;
}

/** Who uses the token. Once written, no other identity can. */
export interface TokenClaim {
  readonly identityKey: Uint8Array;
  /** SHA-256 of the signed body of the request. */
  readonly requestSha256: Uint8Array;
  readonly atMs: number;
}

export type TokenState = "unused" | "claimed" | "revoked" | "expired";

export const TOKEN_PREFIX = "token.";

export function tokenKey(id: string): string {
  return `${TOKEN_PREFIX}${id}`;
}

/** What a list of tokens calls it; revoked and void are one to an operator. */
export function tokenState(token: TokenRecord, { nowMs, lineage }: { nowMs: number; lineage: bigint }): TokenState {
  if (token.revokedAtMs !== undefined) return "revoked";
  if (token.claim !== undefined) return "claimed";
  if (token.lineage !== lineage) return "revoked";
  return nowMs > token.expiresAtMs ? "expired" : "unused";
}

const bytes = z.codec(z.base64(), z.instanceof(Uint8Array), {
  decode: (text) => new Uint8Array(Buffer.from(text, "base64")),
  encode: (value) => Buffer.from(value).toString("base64"),
});
const bigint = z.codec(z.string().regex(/^\d+$/), z.bigint(), { decode: BigInt, encode: String });
const schema = z.strictObject({
  id: z.string(),
  clusterId: z.string(),
  ordinal: z.int().min(0).max(15).optional(),
  secretSha256: bytes,
  createdAtMs: z.number(),
  expiresAtMs: z.number(),
  lineage: bigint,
  revokedAtMs: z.number().optional(),
  claim: z.strictObject({ identityKey: bytes, requestSha256: bytes, atMs: z.number() }).optional(),
});

export function encodeToken(token: TokenRecord): Uint8Array {
  return Buffer.from(JSON.stringify(z.encode(schema, token as z.output<typeof schema>)));
}

/** Throws `corrupt` for what `encodeToken` has not written. */
export function decodeToken(key: string, stored: Uint8Array): TokenRecord {
  try {
    return schema.parse(JSON.parse(Buffer.from(stored).toString()));
  } catch (cause) {
    throw new SpanwireError("corrupt", `registry key "${key}": not a join token`, { cause });
  }
}
