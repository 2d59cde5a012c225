/**
 * @module An operator whose keys somebody else keeps: the hub gets what it needs for one account of it.
 *
 * The account's signing key issues users, the operator's signing key tells the servers which of them are banned, and a
 * user of the system account carries that. Everything else of the account (limits, other users) stays as it is.
 */
import { SpanwireError } from "@spanwire/core/errors";
import type { Secret } from "@spanwire/core/identity/secret";
import { encodeUserJwt } from "@spanwire/runtime/crypto/nats-claims";
import { parseNatsCreds } from "@spanwire/runtime/crypto/nats-creds";
import type { NatsClaims } from "@spanwire/runtime/crypto/nats-jwt";
import {
  createNkeyPair,
  decodeNkey,
  decodeNkeySeed,
  type NkeyKind,
  type NkeyPair,
} from "@spanwire/runtime/crypto/nkey";
import { refuseUsers } from "./account-token.ts";
import { HUB_PERMISSIONS, issueAgentUser, type NatsOperator } from "./operator.ts";

export interface ExternalKeys {
  /** Public nkey of the account that is the mesh's: "A…". */
  readonly account: string;
  /** Seed of one of that account's signing keys: "SA…". */
  readonly accountSeed: Secret;
  /** Seed of one of the operator's signing keys: "SO…". */
  readonly operatorSeed: Secret;
  /** `.creds` file of a user of the system account. */
  readonly systemCreds: Secret;
}

/** Throws `invalid`, naming what is wrong, for keys of another kind. */
export function openExternalOperator({
  account,
  accountSeed,
  operatorSeed,
  systemCreds,
}: ExternalKeys): ExternalOperator {
  requireAccount(account);
  const signing = readSeed("account signing seed", "account", accountSeed);
  const operator = readSeed("operator signing seed", "operator", operatorSeed);
  const issuer = signing.publicKey === account ? {} : { issuerAccount: account };
  return {
    meshAccount: account,
    systemCreds: parseNatsCreds(systemCreds),
    refuseUsers: (present, users, nowMs) => refuseUsers(present, users, { nowMs, operator }),
    hubUserJwt(role, { nkey, ...times }) {
      if (role === "system") throw new TypeError("the system user of an external operator is not the hub's to issue");
      const options = { subject: nkey, name: `hub-${role}`, permissions: HUB_PERMISSIONS[role], ...times, ...issuer };
      return encodeUserJwt(options, signing);
    },
    agentUserJwt: (gateway, options) => issueAgentUser(gateway, { ...options, ...issuer, signing }),
    check: (claims) => checkAccount(claims, { account, signing }),
  };
}

export interface ExternalOperator extends NatsOperator {
  /** Throws `invalid` where the account, as the server knows it, cannot carry a mesh. */
  check(claims: NatsClaims): void;
}

function checkAccount(
  { nats }: NatsClaims,
  { account, signing }: { readonly account: string; readonly signing: NkeyPair },
): void {
  const { signing_keys: keys = [], limits = {} } = nats as {
    readonly signing_keys?: readonly unknown[];
    readonly limits?: Readonly<Record<string, unknown>>;
  };
  const scoped = keys.find((key) => isScopeOf(key, signing.publicKey));
  if (scoped !== undefined) {
    throw invalid(
      account,
      `its signing key ${signing.publicKey} has a scope, which overrules what the hub allows: add one without`,
    );
  }
  if (signing.publicKey !== account && !keys.includes(signing.publicKey)) {
    throw invalid(account, `${signing.publicKey} is none of its signing keys: add it with nsc edit account --sk`);
  }
  if (!limits["disk_storage"] || !limits["mem_storage"]) {
    throw invalid(
      account,
      "it has no JetStream storage: enable it with nsc edit account --js-disk-storage and --js-mem-storage",
    );
  }
}

function isScopeOf(key: unknown, publicKey: string): boolean {
  return typeof key === "object" && key !== null && "key" in key && key.key === publicKey;
}

function requireAccount(account: string): void {
  if (decodeNkey(account).kind !== "account") throw invalid(account, "that is not the public key of an account");
}

function readSeed(what: string, kind: NkeyKind, seed: Secret): NkeyPair {
  const read = decodeNkeySeed(seed);
  if (read.kind === kind) return createNkeyPair(kind, read.privateKey);
  throw new SpanwireError("invalid", `nats ${what}: is the seed of an ${read.kind}, not of an ${kind}`, {
    reason: "NATS_KEYS_UNFIT",
  });
}

function invalid(account: string, why: string): SpanwireError {
  return new SpanwireError("invalid", `nats account ${account}: ${why}`, { reason: "NATS_KEYS_UNFIT" });
}
