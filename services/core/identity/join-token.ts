/**
 * @module Join tokens as text: "sw1." and base64url of
 * id (16) ‖ secret (32) ‖ CA pin (32) ‖ authority pin (32) ‖ length, cluster id ‖ length, hub address.
 */
import { SpanwireError } from "../errors.ts";
import { findInviteFault, HASH_BYTES, type Invite } from "./invite.ts";
import { ascii, counted, malformed, openPacked, type PackedForm, packText } from "./packed-text.ts";
import { Secret } from "./secret.ts";

export interface JoinToken extends Invite {
  /** 16 of a-z and 0-9; not secret, names the token in lists. */
  readonly id: string;
  /** 32 random bytes. */
  readonly secret: Secret;
}

const FORM: PackedForm = {
  mark: "sw1.",
  name: "join token",
  printedBy: "spanwire token create",
  reason: "TOKEN_MALFORMED",
};
const ID_BYTES = 16;
const TOKEN_ID = /^[a-z0-9]{16}$/;

/** Writes the whole token; the text is as secret as the token. Throws `invalid` for what could not be read back. */
export function formatJoinToken(token: JoinToken): Secret {
  const fault = findFault(token);
  if (fault !== undefined) throw new SpanwireError("invalid", `join token: ${fault}`);
  const { id, secret, caSpkiSha256, authoritySha256, clusterId, hubAddress } = token;
  const hub = [caSpkiSha256, authoritySha256, counted(clusterId), counted(hubAddress)];
  return new Secret(packText(FORM, [ascii(id), secret.reveal(), ...hub]));
}

/** Reads a token; white space around it does not matter. Throws `invalid` (`TOKEN_MALFORMED`), never repeating the text. */
export function parseJoinToken(text: string): JoinToken {
  const reader = openPacked(FORM, text);
  const token = {
    id: reader.takeText(ID_BYTES),
    secret: new Secret(reader.take(HASH_BYTES)),
    caSpkiSha256: reader.take(HASH_BYTES),
    authoritySha256: reader.take(HASH_BYTES),
    clusterId: reader.takeCounted(),
    hubAddress: reader.takeCounted(),
  };
  reader.end();
  const fault = findFault(token);
  if (fault !== undefined) throw malformed(FORM, fault);
  return token;
}

function findFault(token: JoinToken): string | undefined {
  if (!TOKEN_ID.test(token.id)) return "its id is not 16 of a-z and 0-9";
  if (token.secret.reveal().length !== HASH_BYTES) return "its secret is not of 32 bytes";
  return findInviteFault(token);
}
