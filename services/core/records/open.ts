/** @module Opens a record: verifies before it decodes, then checks that its signer may say what it says. */
import { fromBinary } from "@bufbuild/protobuf";
import { type Payload, PayloadSchema, type Record, RecordSchema } from "@spanwire/proto/record";
import type { Verify } from "./crypto.ts";
import { equalBytes } from "./digest.ts";
import { parseKey } from "./key.ts";
import type { Order } from "./order.ts";
import { recordSigningInput } from "./signing-input.ts";
import { trimLists } from "./trim-lists.ts";

/** Who may sign, as far as the reader knows. */
export interface Trust {
  readonly meshId: string;
  /** Raw Ed25519 key of the root authority, pinned at join. */
  readonly authorityKey: Uint8Array;
  /** The delegated online key; undefined until the delegation is known. */
  onlineKey(): Uint8Array | undefined;
  /** Keys of the identities admitted for an ordinal, with their incarnation. */
  identity(clusterId: string, ordinal: number): { readonly key: Uint8Array; readonly incarnation: bigint } | undefined;
}

export interface OpenedRecord {
  readonly key: string;
  readonly order: Order;
  readonly payload: Payload;
  /** The stored bytes. */
  readonly bytes: Uint8Array;
}

/** What the signature of a record covers: the envelope around it can be changed by anybody on the way. */
export function signedBytes({ bytes }: Pick<OpenedRecord, "bytes">): Uint8Array {
  return fromBinary(RecordSchema, bytes).payload;
}

export type RefusalReason =
  | "MALFORMED"
  | "UNKNOWN_SIGNER" // no trusted key may sign under this record key, as far as we know
  | "BAD_SIGNATURE"
  | "WRONG_KEY" // the payload was signed for another record key
  | "NOT_ENTITLED"; // the signer is known and may not say this

export type Opened =
  | { readonly ok: true; readonly record: OpenedRecord }
  | { readonly ok: false; readonly reason: RefusalReason; readonly message: string };

export interface OpenOptions {
  readonly trust: Trust;
  readonly verify: Verify;
  /** `keyIdOf`, perhaps with a memory. */
  readonly keyId: (publicKey: Uint8Array) => Uint8Array;
}

type Role = "root" | "online" | "gateway";

/** Opens the record stored under `key`. Never throws: whatever is wrong with the bytes is a refusal. */
export function openRecord(key: string, bytes: Uint8Array, { trust, verify, keyId }: OpenOptions): Opened {
  const envelope = tryDecode(() => fromBinary(RecordSchema, bytes));
  if (envelope === undefined) return refuse("MALFORMED", `record "${key}": not a record`);

  const signer = findSigner(key, envelope, { trust, keyId });
  if (signer === undefined) return refuse("UNKNOWN_SIGNER", `record "${key}": signed by nobody who may sign it`);
  if (!verify(signer.publicKey, recordSigningInput(trust.meshId, key, envelope.payload), signer.signature)) {
    return refuse("BAD_SIGNATURE", `record "${key}": the signature does not match`);
  }

  const payload = tryDecode(() => fromBinary(PayloadSchema, envelope.payload));
  if (payload === undefined) return refuse("MALFORMED", `record "${key}": the payload does not decode`);
  if (payload.key !== key) return refuse("WRONG_KEY", `record "${key}": was signed as "${payload.key}"`);
  const objection = objectionTo(payload, signer);
  if (objection !== undefined) return refuse("NOT_ENTITLED", `record "${key}": ${objection}`);
  if (payload.body.value !== undefined) trimLists(payload.body.value);
  const order = { incarnation: payload.incarnation, generation: payload.generation };
  // The payload's own key: the one that was asked for may be a piece of a longer text, which would stay with it.
  return { ok: true, record: { key: payload.key, order, payload, bytes } };
}

interface FoundSigner {
  readonly role: Role;
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
  /** Of the identity, when the role is gateway. */
  readonly incarnation?: bigint;
}

function findSigner(
  key: string,
  { signatures }: Record,
  { trust, keyId }: Pick<OpenOptions, "trust" | "keyId">,
): FoundSigner | undefined {
  for (const candidate of candidates(key, trust)) {
    const id = keyId(candidate.publicKey);
    const match = signatures.find((signature) => equalBytes(signature.keyId, id));
    if (match !== undefined) return { ...candidate, signature: match.value };
  }
  return undefined;
}

function candidates(key: string, trust: Trust): Omit<FoundSigner, "signature">[] {
  const found: Omit<FoundSigner, "signature">[] = [];
  const parsed = parseKey(key);
  if (parsed.type === "gateway" || parsed.type === "applied") {
    const identity = trust.identity(parsed.clusterId, parsed.ordinal);
    if (identity !== undefined) {
      found.push({ role: "gateway", publicKey: identity.key, incarnation: identity.incarnation });
    }
  }
  const onlineKey = trust.onlineKey();
  if (onlineKey !== undefined) found.push({ role: "online", publicKey: onlineKey });
  found.push({ role: "root", publicKey: trust.authorityKey });
  return found;
}

/** Why this signer may not say this under this key, or undefined when it may (DESIGN: root, online key, identity). */
function objectionTo(payload: Payload, { role, incarnation }: FoundSigner): string | undefined {
  const { type } = parseKey(payload.key);
  const said = payload.body.case;
  if (said === "tombstone") return role === "gateway" ? "a gateway may not sign tombstones" : undefined;
  switch (type) {
    case "mesh":
    case "delegation":
    case "cluster":
    case "policy.links":
      if (role !== "root") return `only the root authority may sign it, not the ${role} key`;
      return expectBody(said, BODY_OF[type]);
    case "epoch":
    case "head":
      return expectBody(said, type);
    case "gateway":
    case "applied":
      if (role !== "gateway") return "only the gateway's own identity may sign it";
      if (payload.incarnation !== incarnation) {
        return `incarnation ${payload.incarnation} is not the admitted one, ${incarnation}`;
      }
      return expectBody(said, BODY_OF[type]);
    case "unknown":
      return undefined;
    default:
      return type satisfies never;
  }
}

const BODY_OF = {
  mesh: "mesh",
  delegation: "delegation",
  cluster: "admission",
  "policy.links": "linkPolicy",
  gateway: "statement",
  applied: "acknowledgement",
} as const;

function expectBody(said: Payload["body"]["case"], expected: Payload["body"]["case"]): string | undefined {
  return said === expected ? undefined : `holds ${said ?? "a body of unknown type"} instead of ${expected}`;
}

function refuse(reason: RefusalReason, message: string): Opened {
  return { ok: false, reason, message };
}

function tryDecode<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
