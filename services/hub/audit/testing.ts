/** @module Audit logs over any store in tests, and what a verifier says of them. */
import { type AuditFacts, decodeEntry } from "@spanwire/core/audit/entry";
import { LogVerifier, type Verdict } from "@spanwire/core/audit/log-verifier";
import { decodeBlock } from "@spanwire/core/audit/open-block";
import { MESH_ID, recordsBy } from "@spanwire/core/records/testing";
import type { Clock } from "@spanwire/core/time";
import type { AuditEntry } from "@spanwire/proto/audit";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import type { RegistryBucket } from "../state/port.ts";
import { crypto, online, root } from "../state/testing.ts";
import { type AuditLog, createAuditLog } from "./audit-log.ts";
import type { AuditStore } from "./audit-store.ts";
import type { CallAudit } from "./audited-calls.ts";
import { readLog } from "./read-log.ts";

/** For what is tested without its audit. */
export const NO_AUDIT: CallAudit = { about: () => {}, changed: () => {} };

export const trust = { meshId: MESH_ID, authorityKey: root.publicKey, ...crypto };

export interface TestLogOptions {
  readonly store: AuditStore;
  readonly registry: RegistryBucket;
  readonly hub?: string;
  readonly clock?: Clock;
}

/** A hub's own view of a log that others may share. */
export async function openTestLog(options: TestLogOptions): Promise<AuditLog> {
  const { store, registry, hub = "hub/1", clock = systemClock } = options;
  const delegation = await recordsBy(root, crypto).delegation(online);
  const sealer = { meshId: MESH_ID, hub, signer: online, delegation: () => delegation, ...crypto };
  return createAuditLog({ store, registry, sealer, trust, clock, random: () => 0.5 });
}

/** Reads the whole log as an operator does. */
export async function inspect({ store, log }: { readonly store: AuditStore; readonly log: AuditLog }) {
  const verifier = new LogVerifier(trust);
  const entries: AuditEntry[] = [];
  const options = { store, log, clock: systemClock, signal: AbortSignal.timeout(60_000) };
  for await (const bytes of readLog(options, { after: 0n, follow: false })) {
    const block = decodeBlock(bytes);
    if (block === undefined) {
      verifier.report("a block that cannot be read");
      continue;
    }
    verifier.take(block);
    entries.push(...block.entries.map(decodeEntry).filter((entry) => entry !== undefined));
  }
  const verdict: Verdict = verifier.finish();
  return { ...verdict, entries };
}

export function change(target: string): AuditFacts {
  return { timeMs: 0, action: "cluster.update", actor: { kind: "operator", name: "alice", role: "operator" }, target };
}
