/**
 * @module How a table is known to be ours and untouched: an empty chain whose name holds two digests, one of the ruleset
 * that was written and one of how nft listed it right afterwards.
 *
 * Comparing a listing with what was written would need nft's exact spelling, which differs between its versions. Here nft
 * is only compared with itself; where it was upgraded meanwhile, the table is written once more.
 */
import type { Firewall } from "@spanwire/core/desired/state";
import { sha256Hex } from "@spanwire/runtime/crypto/sha256";
import type { ListedObject } from "./batch.ts";
import type { Ruleset } from "./commands.ts";
import { renderFirewall } from "./render.ts";

const SEAL = /^applied-([0-9a-f]{32})-([0-9a-f]{32})$/;
const DIGEST_LENGTH = 32;

export interface Seal {
  readonly ruleset: string;
  readonly listing: string;
}

/** Equal for equal models, and only as long as they are rendered alike. */
export function firewallDigest(firewall: Firewall): string {
  return digestRuleset(renderFirewall(firewall));
}

export function digestRuleset(ruleset: Ruleset): string {
  return digest(ruleset);
}

/** Without what changes by itself: handles, the values of counters, and the seal. */
export function digestListing(listing: readonly ListedObject[]): string {
  const lasting = listing.filter((object) => !("metainfo" in object) && !SEAL.test(chainName(object)));
  return digest(lasting.map(withoutNumbers));
}

export function sealName({ ruleset, listing }: Seal): string {
  return `applied-${ruleset}-${listing}`;
}

/** Undefined when the table has none, or a torn one. */
export function findSeal(listing: readonly ListedObject[]): Seal | undefined {
  const [, ruleset, listed] = SEAL.exec(listing.map(chainName).find((name) => SEAL.test(name)) ?? "") ?? [];
  return ruleset === undefined || listed === undefined ? undefined : { ruleset, listing: listed };
}

function chainName(object: ListedObject): string {
  return String(object["chain"]?.["name"] ?? "");
}

function withoutNumbers(object: ListedObject): unknown {
  return JSON.parse(JSON.stringify(object), (key, value: unknown) =>
    key === "handle" || key === "packets" || key === "bytes" ? undefined : value,
  );
}

function digest(value: unknown): string {
  return sha256Hex(JSON.stringify(value)).slice(0, DIGEST_LENGTH);
}
