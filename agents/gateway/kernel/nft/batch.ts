/** @module One transaction that makes the table say what it should, whatever it says now. */
import { type Chain, type NamedSet, type Ruleset, TABLE } from "./commands.ts";

/** An object of the table as `nft -j list` shows it: {"chain": {"name": …}}. */
export type ListedObject = Readonly<Record<string, { readonly name?: string; readonly [key: string]: unknown }>>;

type Command = Readonly<Record<string, unknown>>;

/**
 * Takes away every rule, chain and set that is there and makes the wanted ones. The kernel shows packets either all of it
 * or nothing; counters that stay wanted stay, with their values.
 */
export function replaceTable(ruleset: Ruleset, present: readonly ListedObject[]): string {
  const named = (kind: string) => present.flatMap((object) => object[kind]?.name ?? []);
  const foreign = present.some((object) => !KNOWN_KINDS.some((kind) => kind in object));
  const wanted = new Set(ruleset.counters);
  const commands: Command[] = [{ add: { table: TABLE_OBJECT } }];
  if (foreign) {
    commands.push({ delete: { table: TABLE_OBJECT } }, { add: { table: TABLE_OBJECT } });
  } else {
    commands.push(
      { flush: { table: TABLE_OBJECT } }, // the rules of every chain
      ...named("map").map((name) => ({ flush: { map: { ...TABLE, name } } })), // whose elements hold on to chains
      ...named("chain").map((name) => ({ delete: { chain: { ...TABLE, name } } })),
      ...named("map").map((name) => ({ delete: { map: { ...TABLE, name } } })),
      ...named("set").map((name) => ({ delete: { set: { ...TABLE, name } } })),
      ...named("counter").flatMap((name) => (wanted.has(name) ? [] : { delete: { counter: { ...TABLE, name } } })),
    );
  }
  commands.push(
    ...ruleset.counters.map((name) => ({ add: { counter: { ...TABLE, name } } })),
    ...ruleset.chains.map(addChain),
    ...ruleset.sets.flatMap(addSet),
    ...ruleset.chains.flatMap(({ name: chain, rules }) =>
      rules.map((expr) => ({ add: { rule: { ...TABLE, chain, expr } } })),
    ),
  );
  return toText(commands);
}

/** Succeeds whether the table is there or not. */
export function deleteTable(): string {
  return toText([{ add: { table: TABLE_OBJECT } }, { delete: { table: TABLE_OBJECT } }]);
}

export function addEmptyChain(name: string): string {
  return toText([{ add: { chain: { ...TABLE, name } } }]);
}

const TABLE_OBJECT = { family: TABLE.family, name: TABLE.table };
const KNOWN_KINDS = ["metainfo", "table", "chain", "rule", "set", "map", "counter"];

function addChain({ name, hook }: Chain): Command {
  return { add: { chain: { ...TABLE, name, ...(hook === undefined ? {} : { ...hook, policy: "accept" }) } } };
}

function addSet({ name, type, map, elements }: NamedSet): Command[] {
  const kind = map === undefined ? "set" : "map";
  const definition = { ...TABLE, name, type, flags: ["interval"], ...(map === undefined ? {} : { map }) };
  const add = { add: { [kind]: definition } };
  return elements.length === 0 ? [add] : [add, { add: { element: { ...TABLE, name, elem: elements } } }];
}

function toText(commands: readonly Command[]): string {
  return JSON.stringify({ nftables: commands });
}
