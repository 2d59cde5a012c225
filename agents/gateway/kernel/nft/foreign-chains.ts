/** @module Other programs' chains on the forward hook, from what `nft -j` lists. Pure. */
import type { ForeignChain } from "../port.ts";
import type { ListedObject } from "./batch.ts";
import { TABLE } from "./commands.ts";
import { digestListing } from "./digest.ts";

/** A table as `nft list table` takes it. */
export interface TableName {
  readonly family: string;
  readonly table: string;
}

/** Families whose forward hook sees routed packets. */
const ROUTED_FAMILIES = ["ip", "ip6", "inet"];

/** The tables that hold such chains, in the listing of `nft -j list chains`; ours is none. */
export function foreignTables(chains: readonly ListedObject[]): readonly TableName[] {
  const names = chains.filter(isForwardChain).map(({ chain }) => `${chain?.["family"]} ${chain?.["table"]}`);
  return [...new Set(names)].sort().map((name) => {
    const [family = "", ...table] = name.split(" ");
    return { family, table: table.join(" ") };
  });
}

/** Those of one table's chains that can drop, in the listing of the whole table. */
export function droppingChains(listing: readonly ListedObject[]): readonly ForeignChain[] {
  const hasDrop = listing.some(drops); // in whatever chain: a jump leads there
  const version = digestListing(listing);
  return listing.filter(isForwardChain).flatMap(({ chain }) => {
    const policy = chain?.["policy"] === "drop" ? "drop" : "accept";
    if (policy === "accept" && !hasDrop) return [];
    return [{ name: `${chain?.["family"]} ${chain?.["table"]} ${chain?.["name"]}`, policy, version }];
  });
}

function isForwardChain({ chain }: ListedObject): boolean {
  const isOurs = chain?.["family"] === TABLE.family && chain["table"] === TABLE.table;
  return chain?.["hook"] === "forward" && ROUTED_FAMILIES.includes(String(chain["family"])) && !isOurs;
}

/** A rule, or an element of a verdict map, that ends a packet; iptables' REJECT is a target of its own. */
function drops({ rule, map }: ListedObject): boolean {
  return /"(drop|reject|queue)":|"REJECT"/.test(JSON.stringify(rule ?? map ?? null));
}
