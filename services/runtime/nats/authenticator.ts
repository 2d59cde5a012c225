/** @module How a connection proves who it is, without the nkeys library (6 ms per signature). */
import type { Authenticator } from "@nats-io/transport-node";
import type { NatsCreds } from "../crypto/nats-creds.ts";
import { createNkeyPair, decodeNkeySeed, type NkeyPair } from "../crypto/nkey.ts";

export interface JwtIdentity {
  /** Asked for at each connect, so that a renewed token is used from the next one on. Must not throw. */
  readonly jwt: () => string;
  /** The user's key; the server checks that it is the one the token names. */
  readonly user: NkeyPair;
}

/** Signs the server's nonce with the user's key. */
export function jwtAuthenticator({ jwt, user }: JwtIdentity): Authenticator {
  return (nonce = "") => ({
    jwt: jwt(),
    nkey: user.publicKey,
    sig: Buffer.from(user.sign(Buffer.from(nonce))).toString("base64url"),
  });
}

/** The same from a `.creds` file. */
export function credsAuthenticator({ jwt, seed }: NatsCreds): Authenticator {
  const { kind, privateKey } = decodeNkeySeed(seed);
  return jwtAuthenticator({ jwt: () => jwt, user: createNkeyPair(kind, privateKey) });
}
