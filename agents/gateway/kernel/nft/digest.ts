/**
 * @module How a table is known to be ours and untouched: an empty chain whose name holds two digests, one of the model
 * that was written and one of how nft listed it right afterwards.
 *
 * Comparing a listing with what was written would need nft's exact spelling, which differs between its versions. Here nft
 * is only compared with itself; where it was upgraded meanwhile, the table is written once more.
 */
import type { Firewall } from "@spanwire/core/desired/state";
import { sha256Hex } from "@spanwire/runtime/crypto/sha256";
import type { ListedObject } from "./batch.ts";
import { renderFirewall } from "./render.ts";
import { SAMPLE } from "./sample.ts";

const SEAL = /^applied-([0-9a-f]{32})-([0-9a-f]{32})$/;
const DIGEST_LENGTH = 32;

export interface Seal {
  readonly model: string;
  readonly listing: string;
}

/** Another one as soon as this program renders anything otherwise than the one that wrote the table. */
const RENDERING = digest(renderFirewall(SAMPLE));

/**
 * Equal for equal models, and only as long as they are rendered alike. Of the model, not of its ruleset, which is five
 * times as large and takes longest to make.
 */
export function firewallDigest(firewall: Firewall): string {
  return digest([RENDERING, firewall]);
}

/** Without what changes by itself: handles, the values of counters, and the seal. */
export function digestListing(listing: readonly ListedObject[]): string {
  const lasting = listing.filter((object) => !("metainfo" in object) && !SEAL.test(chainName(object)));
  return digest(lasting.map(withoutNumbers));
}

export function sealName({ model, listing }: Seal): string {
  return `applied-${model}-${listing}`;
}

/** Undefined when the table has none, or a torn one. */
export function findSeal(listing: readonly ListedObject[]): Seal | undefined {
  const [, model, listed] = SEAL.exec(listing.map(chainName).find((name) => SEAL.test(name)) ?? "") ?? [];
  return model === undefined || listed === undefined ? undefined : { model, listing: listed };
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
