/**
 * @module The three kinds of NATS token that a hub issues: operator, account, user.
 * Source: https://github.com/nats-io/jwt (v2/operator_claims.go, account_claims.go, user_claims.go, types.go).
 */
import { SpanwireError } from "@spanwire/core/errors";
import { encodeNatsJwt } from "./nats-jwt.ts";
import { decodeNkey, type NkeyKind, type NkeyPair } from "./nkey.ts";

const VERSION = 2;
const UNLIMITED = -1;
const NANOSECONDS_PER_MS = 1_000_000;

/** Subjects that may be used; everything else is refused. An empty list allows nothing. */
export interface NatsPermissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** May also answer on the reply subject of a message it received. */
  readonly responses?: { readonly maxMessages: number; readonly ttlMs: number };
}

interface TokenOptions {
  /** The public nkey that the token is for. */
  readonly subject: string;
  readonly name: string;
  readonly nowMs: number;
  /** Without it the token does not expire. */
  readonly expiresAtMs?: number;
}

export interface UserTokenOptions extends TokenOptions {
  readonly permissions: NatsPermissions;
  /** The account's public key where `issuer` is one of its signing keys. */
  readonly issuerAccount?: string;
  /** Largest number of subscriptions, and of bytes in one message; unlimited if absent. */
  readonly limits?: { readonly subscriptions?: number; readonly payloadBytes?: number };
}

export interface AccountTokenOptions extends TokenOptions {
  readonly signingKeys?: readonly string[];
  /** Users by public key; each token issued at or before that time is refused. */
  readonly revocations?: ReadonlyMap<string, number>;
  /** For users whose token states no permissions. */
  readonly defaultPermissions?: NatsPermissions;
  /** JetStream needs `"unlimited"` or a size; off if absent. */
  readonly jetStream?: "unlimited" | { readonly memoryBytes: number; readonly diskBytes: number };
  readonly limits?: { readonly connections?: number; readonly subscriptions?: number; readonly payloadBytes?: number };
}

export interface OperatorTokenOptions extends TokenOptions {
  readonly systemAccount: string;
  readonly signingKeys?: readonly string[];
}

/** Issues a user token, signed by the account or one of its signing keys. */
export function encodeUserJwt(options: UserTokenOptions, issuer: NkeyPair): string {
  const { limits = {} } = options;
  return encode("user", "account", options, issuer, {
    ...permissionClaims(options.permissions),
    subs: limits.subscriptions ?? UNLIMITED,
    data: UNLIMITED,
    payload: limits.payloadBytes ?? UNLIMITED,
    ...(options.issuerAccount === undefined ? {} : { issuer_account: options.issuerAccount }),
  });
}

/** Issues an account token, signed by the operator or one of its signing keys. */
export function encodeAccountJwt(options: AccountTokenOptions, issuer: NkeyPair): string {
  const { limits = {}, signingKeys = [], revocations = new Map(), defaultPermissions } = options;
  return encode("account", "operator", options, issuer, {
    limits: {
      subs: limits.subscriptions ?? UNLIMITED,
      data: UNLIMITED,
      payload: limits.payloadBytes ?? UNLIMITED,
      conn: limits.connections ?? UNLIMITED,
      leaf: UNLIMITED,
      imports: UNLIMITED,
      exports: UNLIMITED,
      wildcards: true,
      ...jetStreamClaims(options.jetStream),
    },
    ...(signingKeys.length === 0 ? {} : { signing_keys: [...signingKeys].sort() }),
    ...(revocations.size === 0 ? {} : { revocations: revocationClaims(revocations) }),
    ...(defaultPermissions === undefined ? {} : { default_permissions: permissionClaims(defaultPermissions) }),
  });
}

/** Issues an operator token; an operator signs for itself. */
export function encodeOperatorJwt(options: OperatorTokenOptions, issuer: NkeyPair): string {
  const { signingKeys = [] } = options;
  return encode("operator", "operator", options, issuer, {
    system_account: options.systemAccount,
    ...(signingKeys.length === 0 ? {} : { signing_keys: [...signingKeys].sort() }),
  });
}

function encode(type: NkeyKind, issuedBy: NkeyKind, options: TokenOptions, issuer: NkeyPair, nats: object): string {
  requireKind(options.subject, type, `${type} token "${options.name}": subject`);
  requireKind(issuer.publicKey, issuedBy, `${type} token "${options.name}": issuer`);
  return encodeNatsJwt(
    {
      iat: toSeconds(options.nowMs),
      ...(options.expiresAtMs === undefined ? {} : { exp: toSeconds(options.expiresAtMs) }),
      sub: options.subject,
      name: options.name,
      nats: { ...nats, type, version: VERSION },
    },
    issuer,
  );
}

function requireKind(nkey: string, kind: NkeyKind, what: string): void {
  if (decodeNkey(nkey).kind !== kind)
    throw new SpanwireError("invalid", `${what} ${nkey} is not the key of an ${kind}`);
}

function permissionClaims({ publish, subscribe, responses }: NatsPermissions): object {
  return {
    pub: allow(publish),
    sub: allow(subscribe),
    ...(responses && { resp: { max: responses.maxMessages, ttl: responses.ttlMs * NANOSECONDS_PER_MS } }),
  };
}

/** NATS reads an empty allow-list as "everything", the opposite of what an empty list says here. */
function allow(subjects: readonly string[]): object {
  return subjects.length === 0 ? { deny: [">"] } : { allow: [...subjects].sort() };
}

function jetStreamClaims(jetStream: AccountTokenOptions["jetStream"]): object {
  if (jetStream === undefined) return {};
  const storage =
    jetStream === "unlimited"
      ? { mem_storage: UNLIMITED, disk_storage: UNLIMITED }
      : { mem_storage: jetStream.memoryBytes, disk_storage: jetStream.diskBytes };
  return { ...storage, streams: UNLIMITED, consumer: UNLIMITED };
}

function revocationClaims(revocations: ReadonlyMap<string, number>): object {
  const sorted = [...revocations].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([key, atMs]) => [key, toSeconds(atMs)]));
}

function toSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
