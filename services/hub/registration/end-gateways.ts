/** @module Ends gateways and clusters: in an order in which a crash between any two steps leaves nobody half alive. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Refused } from "@spanwire/core/admission/refusal";
import type { Registry } from "@spanwire/core/admission/registry";
import type { Ending, Tombstoned } from "@spanwire/core/admission/revoke";
import { equalBytes } from "@spanwire/core/records/digest";
import { parseKey } from "@spanwire/core/records/key";
import { sealRecord } from "@spanwire/core/records/seal";
import { AdmissionSchema, type AdmittedGateway } from "@spanwire/proto/record";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import type { CallAudit } from "../audit/audited-calls.ts";
import { stateJson } from "../audit/state-json.ts";
import { accept, refusal } from "../refusal.ts";
import type { EndedRecord } from "../status/gateway-report.ts";
import type { AdmissionWriter, ClusterWrite, WriterOptions } from "./admission-writer.ts";
import type { GatewayUsers } from "./gateway-users.ts";
import { listTokens, revokeToken } from "./tokens.ts";
import { revokeClaims } from "./workload-claims.ts";

export interface EndOptions extends WriterOptions {
  readonly writer: AdmissionWriter;
  readonly users: GatewayUsers;
}

export interface EndRequest {
  readonly clusterId: string;
  readonly decide: (registry: Registry) => Ending | Refused;
  /** For the record: agents and operators see it in the tombstone. */
  readonly reason: string;
  readonly audit: CallAudit;
  /** As the audit log calls it. */
  readonly action: string;
  readonly target: string;
  readonly signal: AbortSignal;
}

/**
 * Ends what `decide` names: bans the NATS users, tokens and workloads that could bring the identities back, then writes the
 * tombstones, for which the online key is enough, then the admission. A registration that is under way meanwhile meets
 * the ban, or makes the last write a conflict, after which all is decided anew. Repeating it does what is left. Returns
 * the tombstones and where in the map they are.
 */
export async function endGateways(options: EndOptions, request: EndRequest): Promise<readonly EndedRecord[]> {
  const { map, users, writer, store, clock } = options;
  const { clusterId, decide, reason, audit, action, target, signal } = request;
  const revokedTokens = new Set<string>();
  const { value, sequence } = await writer.commit(async (registry) => {
    const ending = accept(decide(registry));
    const before = registry.admissions.get(clusterId);
    const leaving = leavingGateways(registry, clusterId, ending);
    for (const { nkey } of leaving) await users.ban(nkey);
    for (const id of await revokeTokensOf(options, leaving)) revokedTokens.add(id);
    const identityKeys = leaving.map(({ identityKey }) => identityKey);
    await revokeClaims(store.registry, clusterId, { identityKeys, nowMs: clock.now() });
    const ended: EndedRecord[] = [];
    for (const tombstone of ending.tombstones) {
      const admitted = leaving.find(({ ordinal }) => isOf(tombstone, ordinal))?.incarnation;
      if (parseKey(tombstone.key).type === "gateway") ended.push(await bury(options, request, tombstone, admitted));
    }
    const write = writeOf(ending, clusterId, reason);
    return { value: { ended, write, before }, write };
  }, signal);
  const { ended, write, before } = value;
  if (write !== undefined) {
    const after = "admission" in write ? stateJson(AdmissionSchema, write.admission) : "";
    audit.changed({ action, target, message: reason, before: stateJson(AdmissionSchema, before), after });
  }
  for (const id of revokedTokens) audit.changed({ action: "token.revoke", target: `token.${id}`, message: reason });
  if (write === undefined || "admission" in write) return ended;
  return [...ended, { key: `cluster.${clusterId}`, ...write.order, lineage: map.lineage, sequence: BigInt(sequence) }];
}

function leavingGateways({ admissions }: Registry, clusterId: string, { nkeys }: Ending): readonly AdmittedGateway[] {
  return admissions.get(clusterId)?.gateways.filter(({ nkey }) => nkeys.includes(nkey)) ?? [];
}

function isOf({ key }: Tombstoned, ordinal: number): boolean {
  const parsed = parseKey(key);
  return parsed.type === "gateway" && parsed.ordinal === ordinal;
}

/** A token stays good for who claimed it: an ended identity must not come back by it. Gives the ids of those revoked now. */
async function revokeTokensOf({ store, clock }: EndOptions, gateways: readonly AdmittedGateway[]): Promise<string[]> {
  if (gateways.length === 0) return [];
  const revoked: string[] = [];
  for (const { id, claim, revokedAtMs } of await listTokens(store.registry)) {
    if (claim === undefined || !gateways.some(({ identityKey }) => equalBytes(identityKey, claim.identityKey)))
      continue;
    await revokeToken(store.registry, id, clock.now());
    if (revokedAtMs === undefined) revoked.push(id);
  }
  return revoked;
}

/** As many statements as one gateway can store in the meantime before it is banned everywhere. */
const ATTEMPTS = 10;

async function bury(
  { store, map, signers, meshId, clock }: EndOptions,
  { reason, signal }: EndRequest,
  { key, order }: Tombstoned,
  admitted: bigint | undefined,
): Promise<EndedRecord> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { lineage } = map;
    const held = map.records.get(key);
    const isBuried = held?.payload.body.case === "tombstone" && held.order.incarnation > (admitted ?? -1n);
    if (isBuried) return { key, ...held.order, lineage, sequence: BigInt(map.revisionOf(key)) };
    const payload = { key, ...order, issuedAt: timestampFromMs(clock.now()) };
    const body = { case: "tombstone", value: { reason } } as const;
    const bytes = await sealRecord(meshId, { ...payload, body }, { signer: signers.online, sha256 });
    const written = await store.map.put(key, bytes, { expectedRevision: map.revisionOf(key) });
    const entry = written.ok ? written : await store.map.get(key);
    if (entry !== undefined) await map.waitFor(entry.revision, signal);
    if (written.ok) return { key, ...order, lineage, sequence: BigInt(written.revision) };
  }
  throw refusal("BUSY", `end ${key}: it is being written by others at the same time: try again`);
}

function writeOf(ending: Ending, clusterId: string, reason: string): ClusterWrite | undefined {
  if (ending.admission !== undefined) return ending.admission;
  const tombstone = ending.tombstones.find(({ key }) => parseKey(key).type === "cluster");
  return tombstone && { tombstone: reason, clusterId, order: tombstone.order };
}
