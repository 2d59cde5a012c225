/** @module What the audit log keeps of one change or one refusal, and the bytes of it. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AuditActorKind, type AuditEntry, AuditEntrySchema } from "@spanwire/proto/audit";

/** Who did or wanted something, as far as it is proven. */
export type Actor =
  | { readonly kind: "nobody" }
  | { readonly kind: "operator"; readonly name: string; readonly role: string }
  /** "eu/0"; the key where it is the proof. */
  | { readonly kind: "gateway"; readonly name: string; readonly identityKey?: Uint8Array | undefined }
  | { readonly kind: "hub" };

export interface AuditFacts {
  readonly timeMs: number;
  /** What was done or asked for. */
  readonly action: string;
  readonly actor: Actor;
  /** The stable reason; undefined for what was done. */
  readonly refusal?: string | undefined;
  readonly message?: string | undefined;
  /** `address:port` of the caller. */
  readonly address?: string | undefined;
  readonly target?: string | undefined;
  readonly tokenId?: string | undefined;
  /** JSON; never with a secret in it. */
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  /** Of equal refusals; 1 if absent. */
  readonly count?: number | undefined;
  /** When the first of them was. */
  readonly firstTimeMs?: number | undefined;
}

/** What the log says of itself. */
export const LOG_ACTIONS = {
  /** The oldest entries were removed as the settings say; the target is the first one kept. */
  trim: "audit.trim",
  /** The store has lost entries. */
  lost: "audit.lost",
  /** Entries were not written, because too many waited. */
  drop: "audit.drop",
} as const;

/** What does not fit is cut: an entry is a witness, not a copy of the state. */
const LONGEST_STATE = 4_096;
const LONGEST_TEXT = 512;
const KINDS = {
  nobody: AuditActorKind.NOBODY,
  operator: AuditActorKind.OPERATOR,
  gateway: AuditActorKind.GATEWAY,
  hub: AuditActorKind.HUB,
} as const;

/** The bytes of the entry with this place in the log. */
export function encodeEntry(
  facts: AuditFacts,
  { sequence, hub }: { readonly sequence: bigint; readonly hub: string },
): Uint8Array {
  const { timeMs, action, actor, count = 1, firstTimeMs } = facts;
  const entry = create(AuditEntrySchema, {
    sequence,
    hub,
    time: timestampFromMs(timeMs),
    action,
    refusal: facts.refusal ?? "",
    message: tidy(facts.message, LONGEST_TEXT),
    actor: {
      kind: KINDS[actor.kind],
      name: "name" in actor ? actor.name : "",
      role: actor.kind === "operator" ? actor.role : "",
      identityKey: actor.kind === "gateway" ? (actor.identityKey ?? new Uint8Array()) : new Uint8Array(),
    },
    address: facts.address ?? "",
    target: tidy(facts.target, LONGEST_TEXT),
    tokenId: tidy(facts.tokenId, LONGEST_TEXT),
    before: tidy(facts.before, LONGEST_STATE),
    after: tidy(facts.after, LONGEST_STATE),
    count,
    ...(firstTimeMs === undefined ? {} : { firstTime: timestampFromMs(firstTimeMs) }),
  });
  return toBinary(AuditEntrySchema, entry);
}

/** Undefined for bytes that are no entry. */
export function decodeEntry(bytes: Uint8Array): AuditEntry | undefined {
  try {
    return fromBinary(AuditEntrySchema, bytes);
  } catch {
    return undefined;
  }
}

/** Without what moves a cursor, hides text or turns it round: callers choose a part of it, and a person reads it in a terminal. */
function tidy(text: string | undefined, longest: number): string {
  const plain = (text ?? "").toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\ufffd");
  return plain.length <= longest
    ? plain
    : `${plain.slice(0, longest).toWellFormed()}… (cut, ${plain.length} characters)`;
}
