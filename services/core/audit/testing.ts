/** @module Audit logs for tests: real signatures, made from a number so that a failure repeats. */
import { fromBinary } from "@bufbuild/protobuf";
import { type AuditBlock, AuditBlockSchema } from "@spanwire/proto/audit";
import type { Signer } from "../records/crypto.ts";
import { MESH_ID, recordsBy, type TestCrypto } from "../records/testing.ts";
import { EMPTY_LOG } from "./chain.ts";
import type { AuditFacts } from "./entry.ts";
import { sealBlock } from "./seal-block.ts";

export const NOW_MS = Date.parse("2026-11-21T12:00:00Z");

/** A change by an operator, told apart by its number. */
export function testChange(n: number, more: Partial<AuditFacts> = {}): AuditFacts {
  const actor = { kind: "operator", name: "alice", role: "operator" } as const;
  const what = { action: "cluster.update", target: `cluster.c${n}`, before: '{"a":1}', after: '{"a":2}' };
  return { timeMs: NOW_MS + n * 1_000, actor, address: `192.0.2.${n % 250}:5000`, ...what, ...more };
}

export interface TestLog {
  /** With the signed end as the last one. */
  readonly blocks: readonly AuditBlock[];
  /** What a verifier of it trusts. */
  readonly trust: TestCrypto & { readonly meshId: string; readonly authorityKey: Uint8Array };
}

/** A log with a block for each list of facts, signed by `online`, to whom `root` has delegated. */
export async function testLog(
  lists: readonly (readonly AuditFacts[])[],
  { root, online, crypto }: { readonly root: Signer; readonly online: Signer; readonly crypto: TestCrypto },
): Promise<TestLog> {
  const delegation = await recordsBy(root, crypto).delegation(online);
  const sealer = { meshId: MESH_ID, hub: "hub/1", signer: online, delegation: () => delegation, ...crypto };
  const blocks: AuditBlock[] = [];
  let head = EMPTY_LOG;
  for (const facts of [...lists, []]) {
    const sealed = await sealBlock(sealer, facts, { head, nowMs: NOW_MS });
    blocks.push(fromBinary(AuditBlockSchema, sealed.bytes));
    head = sealed.head;
  }
  return { blocks, trust: { meshId: MESH_ID, authorityKey: root.publicKey, ...crypto } };
}
