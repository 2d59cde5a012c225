/** @module FirewallPort over `nft -j`. */
import type { Firewall } from "@spanwire/core/desired/state";
import { createInTurn } from "@spanwire/runtime/loop/in-turn";
import type { FirewallChange } from "../change.ts";
import { kernelError } from "../kernel-error.ts";
import type { Run } from "../namespace.ts";
import type { Counter, FirewallPort, ForeignChain, Forwarded, ObservedFirewall } from "../port.ts";
import { addEmptyChain, deleteTable, type ListedObject, replaceTable } from "./batch.ts";
import { TABLE } from "./commands.ts";
import { digestListing, findSeal, firewallDigest, sealName } from "./digest.ts";
import { droppingChains, foreignTables } from "./foreign-chains.ts";
import { renderFirewall } from "./render.ts";
import { DENIED, ENTERED, PASSED } from "./render-link-policy.ts";
import { INPUT_FILE, runNft } from "./run-nft.ts";

export interface NftOptions {
  /** The packets that a counter of our table has counted; undefined when there is none of that name. */
  readonly readCounter: (name: string) => Promise<number | undefined>;
  /** The number of the ruleset, which every commit by anybody changes: what was read at the same number still holds. */
  readonly readGeneration: () => Promise<number>;
  readonly run: Run;
}

const OUR_TABLE = [TABLE.family, TABLE.table] as const;

export function createNftFirewall({ readCounter, readGeneration, run }: NftOptions): FirewallPort {
  const inTurn = createInTurn(); // nobody should see a table between its two transactions
  let known: Known | undefined;

  let foreign: { readonly generation: number; readonly chains: readonly ForeignChain[] } | undefined;

  /** Undefined where that is absent. */
  async function list(...what: readonly string[]): Promise<readonly ListedObject[] | undefined> {
    const { stdout, complaint } = await runNft(["-j", "list", ...what], "", run);
    if (complaint === "") return parseListing(stdout);
    if (complaint.includes("No such file or directory")) return undefined;
    throw kernelError(`list ${what.join(" ")}`, "nft", complaint);
  }

  async function commit(change: FirewallChange, batch: string): Promise<void> {
    const { complaint } = await runNft(["-j", "-f", INPUT_FILE], batch, run);
    if (complaint !== "") throw kernelError(change, "nft", complaint.split("\n", 1)[0] ?? complaint);
  }

  /** Lists the table unless nobody has committed anything since the last time. */
  async function read(): Promise<Known> {
    const generation = await readGeneration();
    if (known?.generation === generation) return known;
    const listing = await list("table", ...OUR_TABLE);
    const objects = (listing ?? []).filter((object) => !("rule" in object));
    const fresh = { generation, observed: toObserved(listing), objects };
    if ((await readGeneration()) === generation) known = fresh;
    return fresh;
  }

  async function replace(change: FirewallChange, firewall: Firewall): Promise<void> {
    const ruleset = renderFirewall(firewall);
    await commit(change, replaceTable(ruleset, (await read()).objects));
    const listing = digestListing((await list("table", ...OUR_TABLE)) ?? []);
    await commit(change, addEmptyChain(sealName({ model: firewallDigest(firewall), listing })));
  }

  async function readForwarded(): Promise<Forwarded | undefined> {
    // In the order of a packet's way: what passes meanwhile is counted at the end, and never seems lost.
    const entered = await readCounter(ENTERED);
    const denied = await readCounter(DENIED);
    const passed = await readCounter(PASSED);
    const isWhole = entered !== undefined && denied !== undefined && passed !== undefined;
    return isWhole ? { entered, denied, passed } : undefined;
  }

  /** Lists others' tables unless nobody has committed anything since the last time. */
  async function readForeign(): Promise<readonly ForeignChain[]> {
    const generation = await readGeneration();
    if (foreign?.generation === generation) return foreign.chains;
    const chains: ForeignChain[] = [];
    for (const { family, table } of foreignTables((await list("chains")) ?? [])) {
      chains.push(...droppingChains((await list("table", family, table)) ?? []));
    }
    foreign = { generation, chains };
    return chains;
  }

  return {
    forwarded: () => inTurn(readForwarded),
    foreignChains: () => inTurn(readForeign),
    observe: () => inTurn(async () => (await read()).observed),
    counters: async () => readCounters((await list("counters", "table", ...OUR_TABLE)) ?? []),
    apply: (change) =>
      inTurn(() =>
        change.kind === "replace-firewall" ? replace(change, change.firewall) : commit(change, deleteTable()),
      ),
  };
}

interface Known {
  readonly generation: number;
  readonly observed: ObservedFirewall;
  /** Everything but rules, which go with their chains. */
  readonly objects: readonly ListedObject[];
}

function toObserved(listing: readonly ListedObject[] | undefined): ObservedFirewall {
  if (listing === undefined) return { kind: "absent" };
  const seal = findSeal(listing);
  if (seal === undefined) return { kind: "altered", difference: "it was not written to the end, or flushed" };
  if (seal.listing !== digestListing(listing)) {
    return { kind: "altered", difference: "another program changed it after it was written" };
  }
  return { kind: "present", digest: seal.model };
}

function readCounters(listing: readonly ListedObject[]): Map<string, Counter> {
  const counters = new Map<string, Counter>();
  for (const { counter } of listing) {
    if (counter === undefined) continue;
    counters.set(String(counter["name"]), { packets: Number(counter["packets"]), bytes: Number(counter["bytes"]) });
  }
  return counters;
}

function parseListing(text: string): readonly ListedObject[] {
  const { nftables } = JSON.parse(text) as { readonly nftables: readonly ListedObject[] };
  return nftables;
}
