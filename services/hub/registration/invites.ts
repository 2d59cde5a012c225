/** @module Invites in the registry: written, listed, withdrawn. An operator's last word counts. */
import { refusal } from "../refusal.ts";
import type { RegistryBucket } from "../state/port.ts";
import { decodeInvite, encodeInvite, INVITE_PREFIX, type InviteRecord, inviteKey } from "./invite-record.ts";

/** Writes the invite over the one before it; gives that. */
export async function storeInvite(registry: RegistryBucket, invite: InviteRecord): Promise<InviteRecord | undefined> {
  const key = inviteKey(invite.clusterId);
  for (;;) {
    const before = await registry.get(key);
    const bytes = encodeInvite(invite);
    const expectedRevision = before?.revision ?? 0;
    const written = before
      ? await registry.update(key, bytes, { expectedRevision })
      : await registry.create(key, bytes);
    if (written.ok) return before && decodeInvite(key, before.bytes);
  }
}

export async function findInvite(registry: RegistryBucket, clusterId: string): Promise<InviteRecord | undefined> {
  const entry = await registry.get(inviteKey(clusterId));
  return entry && decodeInvite(entry.key, entry.bytes);
}

/** All of them, by cluster id. */
export async function listInvites(registry: RegistryBucket): Promise<readonly InviteRecord[]> {
  const entries = await registry.list(INVITE_PREFIX);
  return entries.map(({ key, bytes }) => decodeInvite(key, bytes));
}

/** No workload joins by it any more; gives it. Throws `INVITE_NOT_FOUND`. */
export async function withdrawInvite(registry: RegistryBucket, clusterId: string): Promise<InviteRecord> {
  const invite = await findInvite(registry, clusterId);
  if (invite === undefined) {
    throw refusal("INVITE_NOT_FOUND", `withdraw invite: cluster "${clusterId}" has none: see spanwire cluster invites`);
  }
  await registry.delete(inviteKey(clusterId));
  return invite;
}
