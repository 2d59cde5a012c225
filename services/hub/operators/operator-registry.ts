/** @module Operators' certificates in the registry: written down before they are given away, listed, revoked. */
import { refusal } from "../refusal.ts";
import type { RegistryBucket } from "../state/port.ts";
import {
  decodeOperator,
  encodeOperator,
  OPERATOR_PREFIX,
  type OperatorRecord,
  operatorKey,
} from "./operator-record.ts";

/** A certificate that is not written down lets nobody in. */
export async function recordOperator(registry: RegistryBucket, operator: OperatorRecord): Promise<void> {
  await registry.create(operatorKey(operator.serial), encodeOperator(operator));
}

/** Undefined for a certificate that this mesh's store does not know. */
export async function findOperator(registry: RegistryBucket, serial: string): Promise<OperatorRecord | undefined> {
  const entry = await registry.get(operatorKey(serial));
  return entry && decodeOperator(entry.key, entry.bytes);
}

/** All that have not been swept away, oldest first. */
export async function listOperators(registry: RegistryBucket): Promise<readonly OperatorRecord[]> {
  const entries = await registry.list(OPERATOR_PREFIX);
  const operators = entries.map(({ key, bytes }) => decodeOperator(key, bytes));
  return operators.sort((a, b) => a.createdAtMs - b.createdAtMs);
}

/** Which certificates: all of a name, or one. */
export type Revoked = { readonly name: string } | { readonly serial: string };

export interface Revocation {
  /** All that are meant, as they are now. */
  readonly operators: readonly OperatorRecord[];
  /** Those that were good until now. */
  readonly serials: readonly string[];
}

/** Makes certificates useless for ever. Idempotent. Throws `OPERATOR_NOT_FOUND`. */
export async function revokeOperators(registry: RegistryBucket, which: Revoked, nowMs: number): Promise<Revocation> {
  const isMeant = (each: OperatorRecord) => ("name" in which ? each.name === which.name : each.serial === which.serial);
  const meant = (await listOperators(registry)).filter(isMeant);
  if (meant.length === 0) {
    const said = "name" in which ? `"${which.name}"` : which.serial;
    throw refusal("OPERATOR_NOT_FOUND", `revoke operator ${said}: there is none: see spanwire operator list`);
  }
  const good = meant.filter(({ revokedAtMs }) => revokedAtMs === undefined);
  for (const operator of good) await keepRevoked(registry, { ...operator, revokedAtMs: nowMs });
  const operators = meant.map((each) => ({ ...each, revokedAtMs: each.revokedAtMs ?? nowMs }));
  return { operators, serials: good.map(({ serial }) => serial) };
}

/** Writes a revoked operator over whatever is there; a rolled-back store has the good one again, or nothing. */
export async function keepRevoked(registry: RegistryBucket, operator: OperatorRecord): Promise<void> {
  const key = operatorKey(operator.serial);
  for (;;) {
    const entry = await registry.get(key);
    if (entry !== undefined && decodeOperator(key, entry.bytes).revokedAtMs !== undefined) return;
    const bytes = encodeOperator(operator);
    const written = entry
      ? await registry.update(key, bytes, { expectedRevision: entry.revision })
      : await registry.create(key, bytes);
    if (written.ok) return;
  }
}

/** Forgets certificates that have expired, revoked or not; returns how many. */
export async function sweepOperators(registry: RegistryBucket, nowMs: number): Promise<number> {
  let swept = 0;
  for (const { key, bytes, revision } of await registry.list(OPERATOR_PREFIX)) {
    if (nowMs <= decodeOperator(key, bytes).expiresAtMs) continue;
    if ((await registry.delete(key, { expectedRevision: revision })).ok) swept += 1;
  }
  return swept;
}
