/** @module The `.creds` file of NATS: a user's token and seed in one text, as `nsc` and the `nats` tool write it. */
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";

export interface NatsCreds {
  readonly jwt: string;
  readonly seed: Secret;
}

export function formatNatsCreds({ jwt, seed }: NatsCreds): Secret {
  const blocks = [block("NATS USER JWT", jwt), block("USER NKEY SEED", Buffer.from(seed.reveal()).toString())];
  return new Secret(Buffer.from(blocks.join("\n")));
}

/** Reads the file's content; throws `invalid`, without repeating it, when one of the two parts is missing. */
export function parseNatsCreds(content: Secret): NatsCreds {
  const text = Buffer.from(content.reveal()).toString();
  const jwt = /-----BEGIN NATS USER JWT-----\s+(\S+)/.exec(text)?.[1];
  const seed = /-----BEGIN USER NKEY SEED-----\s+(\S+)/.exec(text)?.[1];
  if (jwt === undefined || seed === undefined) {
    throw new SpanwireError("invalid", "nats credentials: the file holds no user token and seed");
  }
  return { jwt, seed: new Secret(Buffer.from(seed)) };
}

function block(title: string, content: string): string {
  return `-----BEGIN ${title}-----\n${content}\n------END ${title}------\n`;
}
