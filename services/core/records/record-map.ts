/**
 * @module The map as one reader knows it: the newest verified record for each key, and the facts they add up to.
 *
 * Used alike by agents, hub and CLI. Absence never deletes: a record ends only by a tombstone of higher order, and
 * the tombstone stays. A refused record changes nothing.
 */
import type { Admission, Delegation, Epoch, LinkPolicy, Mesh, Payload, Statement } from "@spanwire/proto/record";
import { keyIdOf, type Sha256, type Verify } from "./crypto.ts";
import { Digest, equalBytes } from "./digest.ts";
import { DELEGATION_KEY, EPOCH_KEY, gatewayKey, LINK_POLICY_KEY, MESH_KEY, parseKey } from "./key.ts";
import { type OpenedRecord, openRecord, type RefusalReason, signedBytes, type Trust } from "./open.ts";
import { compareOrders, formatOrder, type Order } from "./order.ts";
import { hasUnknownFields } from "./unknown-fields.ts";

export type Offered =
  /** Newer than what we had: `key` and what depends on it changed. */
  | { readonly kind: "accepted"; readonly record: OpenedRecord }
  /** Same order and same signed bytes. */
  | { readonly kind: "known" }
  /** Older than what we have: a replay or a reordered delivery. */
  | { readonly kind: "stale"; readonly held: Order; readonly offered: Order }
  /** Same order and different signed bytes: its signer said two things. The first one stays. */
  | { readonly kind: "fork"; readonly message: string }
  | { readonly kind: "refused"; readonly reason: RefusalReason | "KEY_CLAIMED"; readonly message: string };

/** A statement together with the order it was made at. */
export interface HeldStatement {
  readonly statement: Statement;
  readonly order: Order;
}

export interface RecordMapOptions {
  readonly meshId: string;
  /** Raw Ed25519 key of the root authority, pinned at join. */
  readonly authorityKey: Uint8Array;
  readonly verify: Verify;
  readonly sha256: Sha256;
}

export class RecordMap {
  readonly #records = new Map<string, OpenedRecord>();
  readonly #admissions = new Map<string, Admission>();
  readonly #statements = new Map<string, HeldStatement>();
  /** WireGuard public key and epoch -> record key of its first owner. */
  readonly #keyOwners = new Map<string, string>();
  readonly #withUnknownFields = new Set<string>();
  readonly #digest: Digest;
  /** What the digest holds. */
  readonly #counted = new Map<string, Order>();
  readonly #open: (key: string, bytes: Uint8Array) => ReturnType<typeof openRecord>;

  constructor({ meshId, authorityKey, verify, sha256 }: RecordMapOptions) {
    this.#digest = new Digest(sha256);
    const trust: Trust = {
      meshId,
      authorityKey,
      onlineKey: () => this.delegation?.onlineKey,
      identity: (clusterId, ordinal) => {
        const gateway = this.#admissions.get(clusterId)?.gateways.find((each) => each.ordinal === ordinal);
        return gateway && { key: gateway.identityKey, incarnation: gateway.incarnation };
      },
    };
    const keyId = rememberKeyIds(sha256);
    this.#open = (key, bytes) => openRecord(key, bytes, { trust, verify, keyId });
  }

  /** Takes one stored record; verifies only what is not already held byte for byte. */
  offer(key: string, bytes: Uint8Array): Offered {
    const held = this.#records.get(key);
    if (held !== undefined && equalBytes(held.bytes, bytes)) return { kind: "known" };
    const opened = this.#open(key, bytes);
    if (!opened.ok) return { kind: "refused", reason: opened.reason, message: opened.message };
    const { record } = opened;
    if (held !== undefined) {
      const comparison = compareOrders(record.order, held.order);
      if (comparison < 0) return { kind: "stale", held: held.order, offered: record.order };
      if (comparison === 0) {
        if (equalBytes(signedBytes(record), signedBytes(held))) return { kind: "known" };
        return { kind: "fork", message: `record "${key}": two different ones at order ${formatOrder(held.order)}` };
      }
    }
    const owner = this.#findOtherOwner(record);
    if (owner !== undefined) {
      const message = `record "${key}": claims a WireGuard public key that "${owner}" stored first`;
      return { kind: "refused", reason: "KEY_CLAIMED", message };
    }
    this.#store(record);
    return { kind: "accepted", record };
  }

  /** Opens what is signed like a record and is not part of the map: a head, an acknowledgement. */
  open(key: string, bytes: Uint8Array): ReturnType<typeof openRecord> {
    return this.#open(key, bytes);
  }

  get(key: string): OpenedRecord | undefined {
    return this.#records.get(key);
  }

  get size(): number {
    return this.#records.size;
  }

  /** All records, tombstones included, in no particular order. */
  records(): IterableIterator<OpenedRecord> {
    return this.#records.values();
  }

  /**
   * 32 bytes over (key, order) of all records but statements of an incarnation that is not admitted: who comes later
   * cannot verify those, and must come to the same digest.
   */
  digest(): Uint8Array {
    return this.#digest.bytes();
  }

  get mesh(): Mesh | undefined {
    const body = this.#bodyOf(MESH_KEY);
    return body?.case === "mesh" ? body.value : undefined;
  }

  get delegation(): Delegation | undefined {
    const body = this.#bodyOf(DELEGATION_KEY);
    return body?.case === "delegation" ? body.value : undefined;
  }

  get linkPolicy(): LinkPolicy | undefined {
    const body = this.#bodyOf(LINK_POLICY_KEY);
    return body?.case === "linkPolicy" ? body.value : undefined;
  }

  get epoch(): Epoch | undefined {
    const body = this.#bodyOf(EPOCH_KEY);
    return body?.case === "epoch" ? body.value : undefined;
  }

  /** Live admissions by cluster id. */
  get admissions(): ReadonlyMap<string, Admission> {
    return this.#admissions;
  }

  /** Statements of admitted gateways by record key ("gateway.eu.0"). */
  get statements(): ReadonlyMap<string, HeldStatement> {
    return this.#statements;
  }

  /** Keys of records whose type or body this version does not know. */
  unknownKeys(): string[] {
    const unknown = [...this.#records.values()].filter(
      ({ key, payload }) => parseKey(key).type === "unknown" || payload.body.case === undefined,
    );
    return unknown.map((record) => record.key).sort();
  }

  /** Keys of records that this version knows, with fields that it does not. */
  unknownFieldKeys(): string[] {
    return [...this.#withUnknownFields].sort();
  }

  #bodyOf(key: string): Payload["body"] | undefined {
    return this.#records.get(key)?.payload.body;
  }

  #store(record: OpenedRecord): void {
    this.#records.set(record.key, record);
    const parsed = parseKey(record.key);
    const isKnown = parsed.type !== "unknown" && record.payload.body.case !== undefined;
    if (isKnown && hasUnknownFields(record.payload)) this.#withUnknownFields.add(record.key);
    else this.#withUnknownFields.delete(record.key);
    if (parsed.type === "gateway") this.#refreshStatement(record.key, parsed.clusterId, parsed.ordinal);
    else this.#count(record.key, record.order);
    if (parsed.type === "cluster") this.#storeAdmission(parsed.clusterId, record);
  }

  #storeAdmission(clusterId: string, { payload }: OpenedRecord): void {
    const before = this.#admissions.get(clusterId)?.gateways ?? [];
    const admission = payload.body.case === "admission" ? payload.body.value : undefined;
    if (admission === undefined) this.#admissions.delete(clusterId);
    else this.#admissions.set(clusterId, admission);
    for (const ordinal of new Set([...before, ...(admission?.gateways ?? [])].map((gateway) => gateway.ordinal))) {
      this.#refreshStatement(gatewayKey(clusterId, ordinal), clusterId, ordinal);
    }
  }

  /** A statement counts only while its own incarnation is admitted. */
  #refreshStatement(key: string, clusterId: string, ordinal: number): void {
    const record = this.#records.get(key);
    if (record === undefined) return;
    const { order, payload } = record;
    const gateway = this.#admissions.get(clusterId)?.gateways.find((each) => each.ordinal === ordinal);
    const isAdmitted = gateway?.incarnation === order.incarnation;
    const statement = payload.body.case === "statement" && isAdmitted ? payload.body.value : undefined;
    this.#own(key, statement);
    if (statement === undefined) this.#statements.delete(key);
    else this.#statements.set(key, { statement, order });
    this.#count(key, payload.body.case !== "statement" || isAdmitted ? order : undefined);
  }

  /** Makes the digest hold this order of the key, or nothing of it. */
  #count(key: string, order: Order | undefined): void {
    const former = this.#counted.get(key);
    if (former !== undefined) this.#digest.remove(key, former);
    if (order === undefined) this.#counted.delete(key);
    else {
      this.#digest.add(key, order);
      this.#counted.set(key, order);
    }
  }

  /** Makes the key own what this statement claims, and nothing else. */
  #own(key: string, statement: Statement | undefined): void {
    const former = this.#statements.get(key)?.statement;
    if (former !== undefined && statement !== undefined && claimsSame(former, statement)) return;
    const claims = statement === undefined ? [] : keyClaims(statement);
    for (const claim of former === undefined ? [] : keyClaims(former)) {
      if (!claims.includes(claim) && this.#keyOwners.get(claim) === key) this.#keyOwners.delete(claim);
    }
    for (const claim of claims) this.#keyOwners.set(claim, key);
  }

  #findOtherOwner({ key, payload }: OpenedRecord): string | undefined {
    if (payload.body.case !== "statement") return undefined;
    const former = this.#statements.get(key)?.statement;
    if (former !== undefined && claimsSame(former, payload.body.value)) return undefined;
    const owners = keyClaims(payload.body.value).map((claim) => this.#keyOwners.get(claim));
    return owners.find((owner) => owner !== undefined && owner !== key);
  }
}

/** Few keys sign much: each hash costs as much as decoding a record, and each kept one half as much memory. */
const KEY_IDS = 32;

function rememberKeyIds(sha256: Sha256): (publicKey: Uint8Array) => Uint8Array {
  const known = new Map<Uint8Array, Uint8Array>();
  return (publicKey) => {
    const keyId = known.get(publicKey) ?? keyIdOf(publicKey, sha256);
    if (known.size >= KEY_IDS) known.clear();
    known.set(publicKey, keyId);
    return keyId;
  };
}

/** As most statements do that follow another: where a gateway is changes more often than its keys. */
function claimsSame(a: Statement, b: Statement): boolean {
  return (
    a.keys.length === b.keys.length &&
    a.keys.every(({ epoch, publicKey }, index) => {
      const other = b.keys[index];
      return other !== undefined && epoch === other.epoch && equalBytes(publicKey, other.publicKey);
    })
  );
}

function keyClaims(statement: Statement): string[] {
  return statement.keys.map(({ epoch, publicKey }) => `${epoch}:${String.fromCharCode(...publicKey)}`);
}
