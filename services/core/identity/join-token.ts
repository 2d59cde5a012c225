/**
 * @module Join tokens as text: "sw1." and base64url of
 * id (16) ‖ secret (32) ‖ CA pin (32) ‖ authority pin (32) ‖ length, cluster id ‖ length, hub address.
 *
 * The two lengths and the exact end are what finds a token that was cut in copying.
 */
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import { SpanwireError } from "../errors.ts";
import { Secret } from "./secret.ts";

export interface JoinToken {
  /** 16 of a-z and 0-9; not secret, names the token in lists. */
  readonly id: string;
  /** 32 random bytes. */
  readonly secret: Secret;
  /** The cluster that may join with it. */
  readonly clusterId: string;
  /** `host:port` of RegistrationService; an IPv6 address in brackets. */
  readonly hubAddress: string;
  /** SHA-256 of the SubjectPublicKeyInfo of the hub's CA. */
  readonly caSpkiSha256: Uint8Array;
  /** SHA-256 of the raw root authority key. */
  readonly authoritySha256: Uint8Array;
}

const MARK = "sw1.";
const ID_BYTES = 16;
const HASH_BYTES = 32;
const TOKEN_ID = /^[a-z0-9]{16}$/;
const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const HOST_PORT = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]{1,240}):([1-9]\d{0,4})$/;

/** Writes the whole token; the text is as secret as the token. Throws `invalid` for what could not be read back. */
export function formatJoinToken(token: JoinToken): Secret {
  const fault = findFault(token);
  if (fault !== undefined) throw new SpanwireError("invalid", `join token: ${fault}`);
  const bytes = Uint8Array.of(
    ...ascii(token.id),
    ...token.secret.reveal(),
    ...token.caSpkiSha256,
    ...token.authoritySha256,
    ...counted(token.clusterId),
    ...counted(token.hubAddress),
  );
  return new Secret(ascii(MARK + base64Encode(bytes, "url")));
}

/** Reads a token; white space around it does not matter. Throws `invalid` (`TOKEN_MALFORMED`), never repeating the text. */
export function parseJoinToken(text: string): JoinToken {
  const trimmed = text.trim();
  if (!trimmed.startsWith(MARK)) throw malformed(`it does not begin with "${MARK}"`);
  const reader = createReader(decode(trimmed.slice(MARK.length)));
  const token = {
    id: toText(reader.take(ID_BYTES)),
    secret: new Secret(reader.take(HASH_BYTES)),
    caSpkiSha256: reader.take(HASH_BYTES),
    authoritySha256: reader.take(HASH_BYTES),
    clusterId: toText(reader.take(reader.takeByte())),
    hubAddress: toText(reader.take(reader.takeByte())),
  };
  if (reader.left() > 0) throw malformed("something follows its end");
  const fault = findFault(token);
  if (fault !== undefined) throw malformed(fault);
  return token;
}

function findFault({
  id,
  secret,
  clusterId,
  hubAddress,
  caSpkiSha256,
  authoritySha256,
}: JoinToken): string | undefined {
  if (!TOKEN_ID.test(id)) return "its id is not 16 of a-z and 0-9";
  if (!DNS_LABEL.test(clusterId)) return "its cluster id is not a DNS label";
  if (!isHostPort(hubAddress)) return "its hub address is not host:port";
  const hashes = [secret.reveal(), caSpkiSha256, authoritySha256];
  return hashes.every(({ length }) => length === HASH_BYTES) ? undefined : "a secret or pin is not of 32 bytes";
}

function isHostPort(address: string): boolean {
  const port = HOST_PORT.exec(address)?.[2];
  return port !== undefined && Number(port) <= 65_535;
}

function decode(text: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) throw malformed("it holds characters that no token has");
  try {
    return base64Decode(text);
  } catch {
    throw malformed("it was cut in copying");
  }
}

function createReader(bytes: Uint8Array) {
  let offset = 0;
  const take = (length: number): Uint8Array => {
    if (offset + length > bytes.length) throw malformed("it was cut in copying");
    offset += length;
    return bytes.slice(offset - length, offset);
  };
  return { take, takeByte: () => take(1)[0] ?? 0, left: () => bytes.length - offset };
}

function malformed(why: string): SpanwireError {
  const message = `join token: ${why}; copy the whole text that "spanwire token create" printed`;
  return new SpanwireError("invalid", message, { reason: "TOKEN_MALFORMED" });
}

function counted(text: string): Uint8Array {
  return Uint8Array.of(text.length, ...ascii(text));
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function toText(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
