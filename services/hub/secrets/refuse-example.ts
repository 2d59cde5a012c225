/** @module Credentials that everybody knows: those of example files and manuals. */
import { SpanwireError } from "@spanwire/core/errors";

/** Words that example files write where a credential belongs; ours do, too. */
const PLACEHOLDER = /example|change[-_ ]?me|replace[-_ ]?me|placeholder|your[-_ ]|<.*>|^\*+$|^x+$|^(0+[-]?)+$/i;
/** What a machine made is longer; a word that a person chose can be guessed. */
const SHORTEST = 16;

/** Gives the credential back; throws `invalid` (`EXAMPLE_CREDENTIAL`) for one that nobody made for this mesh. */
export function refuseExample(credential: string, where: string): string {
  const why = whyNot(credential);
  if (why === undefined) return credential;
  throw new SpanwireError("invalid", `${where}: ${why}: put the credential there that was made for this hub`, {
    reason: "EXAMPLE_CREDENTIAL",
  });
}

function whyNot(credential: string): string | undefined {
  if (credential === "") return "it is empty";
  if (PLACEHOLDER.test(credential)) return "it is the text of an example";
  return credential.length < SHORTEST ? `it has fewer than ${SHORTEST} characters, so it can be guessed` : undefined;
}
