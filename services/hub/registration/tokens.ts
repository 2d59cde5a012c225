/** @module Join tokens in the registry: made, listed, revoked, claimed. Every write is compare-and-set. */
import type { JoinToken } from "@spanwire/core/identity/join-token";
import { Secret } from "@spanwire/core/identity/secret";
import { constantTimeEqual } from "@spanwire/runtime/crypto/constant-time-equal";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { refusal } from "../refusal.ts";
import type { RegistryBucket } from "../state/port.ts";
import { judgeToken, type Presented } from "./judge-token.ts";
import { decodeToken, encodeToken, TOKEN_PREFIX, type TokenRecord, tokenKey } from "./token-record.ts";

export interface TokenRequest {
  readonly clusterId: string;
  readonly ordinal: number | undefined;
  readonly ttlMs: number;
}

/** What every new token of this hub says besides its own. */
export type TokenFrame = Pick<JoinToken, "hubAddress" | "caSpkiSha256" | "authoritySha256">;

export interface Now {
  readonly nowMs: number;
  /** The map's lineage. */
  readonly lineage: bigint;
}

const ID_CHARACTERS = 16;
const SECRET_BYTES = 32;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";

/** Makes a token and stores all of it but its secret. */
export async function createToken(
  registry: RegistryBucket,
  { clusterId, ordinal, ttlMs }: TokenRequest,
  options: Now & { readonly frame: TokenFrame; readonly randomBytes: (length: number) => Uint8Array },
): Promise<{ readonly token: JoinToken; readonly record: TokenRecord }> {
  const { nowMs, lineage, frame, randomBytes } = options;
  // A byte modulo 36 favours some characters; 16 of them are still 80 bits that nobody has to guess.
  const id = Array.from(randomBytes(ID_CHARACTERS), (byte) => ALPHABET[byte % ALPHABET.length]).join("");
  const secret = new Secret(randomBytes(SECRET_BYTES));
  const secretSha256 = sha256(secret.reveal());
  const record = { id, clusterId, ordinal, secretSha256, createdAtMs: nowMs, expiresAtMs: nowMs + ttlMs, lineage };
  const written = await registry.create(tokenKey(id), encodeToken(record));
  if (!written.ok) throw refusal("BUSY", "create token: its random id is taken; try again");
  return { token: { id, secret, clusterId, ...frame }, record };
}

/** All tokens that have not been swept away, by id. */
export async function listTokens(registry: RegistryBucket): Promise<readonly TokenRecord[]> {
  const entries = await registry.list(TOKEN_PREFIX);
  return entries.map(({ key, bytes }) => decodeToken(key, bytes));
}

/** Makes a token unusable; who joined with it stays. Idempotent. Throws `TOKEN_NOT_FOUND`. */
export async function revokeToken(registry: RegistryBucket, id: string, nowMs: number): Promise<TokenRecord> {
  for (;;) {
    const entry = await registry.get(tokenKey(id));
    if (entry === undefined) throw refusal("TOKEN_NOT_FOUND", `revoke token ${id}: there is none; it may have expired`);
    const token = decodeToken(entry.key, entry.bytes);
    if (token.revokedAtMs !== undefined) return token;
    const revoked = { ...token, revokedAtMs: nowMs };
    const written = await registry.update(entry.key, encodeToken(revoked), { expectedRevision: entry.revision });
    if (written.ok) return revoked;
  }
}

/** Makes all tokens of a cluster that nobody has claimed unusable; gives the ids of those that were not so already. */
export async function revokeUnusedTokens(
  registry: RegistryBucket,
  clusterId: string,
  nowMs: number,
): Promise<readonly string[]> {
  const tokens = await listTokens(registry);
  const unused = tokens.filter((token) => token.clusterId === clusterId && token.claim === undefined);
  const usable = unused.filter(({ revokedAtMs }) => revokedAtMs === undefined);
  for (const { id } of usable) await revokeToken(registry, id, nowMs);
  return usable.map(({ id }) => id);
}

/** What a request shows: the token's id and secret, and what `judgeToken` compares. */
export type TokenUse = Omit<Presented, "secretSha256"> & { readonly id: string; readonly secret: Uint8Array };

/**
 * Claims the token for an identity: the commit of a registration. Nothing may be done for the caller before. Returns the
 * token once it is claimed, by this call or by an earlier one of the same identity; else throws the refusal.
 */
export async function claimToken(registry: RegistryBucket, use: TokenUse, now: Now): Promise<TokenRecord> {
  for (;;) {
    const entry = await registry.get(tokenKey(use.id));
    const token = entry && decodeToken(entry.key, entry.bytes);
    const shown = { ...use, secretSha256: sha256(use.secret) };
    const verdict = judgeToken(token, shown, { ...now, equalSecrets: constantTimeEqual });
    if (verdict.kind === "refused") throw refusal(verdict.reason, verdict.message);
    if (entry === undefined || token === undefined) continue; // an unknown token was refused
    if (verdict.kind === "claimed") return token;
    const claimed = { ...token, claim: verdict.claim };
    const written = await registry.update(entry.key, encodeToken(claimed), { expectedRevision: entry.revision });
    if (written.ok) return claimed;
  }
}

/** How long a token that cannot be used any more still answers why. */
const RETENTION_MS = 24 * 3_600_000;

/** Forgets the tokens that ended long ago; returns how many. */
export async function sweepTokens(registry: RegistryBucket, nowMs: number): Promise<number> {
  let swept = 0;
  for (const { key, bytes, revision } of await registry.list(TOKEN_PREFIX)) {
    if (nowMs <= decodeToken(key, bytes).expiresAtMs + RETENTION_MS) continue;
    const deleted = await registry.delete(key, { expectedRevision: revision });
    if (deleted.ok) swept += 1;
  }
  return swept;
}
