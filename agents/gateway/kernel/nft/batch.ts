/** @module One transaction that makes the table say what it should, whatever it says now. */
import { type Chain, type NamedSet, type Ruleset, TABLE } from "./commands.ts";

/** An object of the table as `nft -j list` shows it: {"chain": {"name": …}}. */
export type ListedObject = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

type Command = Readonly<Record<string, unknown>>;

/**
 * Replaces all rules, which packets see in one step, and leaves in place what stays: counters with their values, and sets
 * with the elements that stay. Emptying a set and filling it again would not be one step for a packet that is just being
 * looked at: the rules are chosen when it enters a chain, but elements are judged when they are looked up [seen: packets
 * past the guard].
 */
export function replaceTable(ruleset: Ruleset, present: readonly ListedObject[]): string {
  const isLost = present.some((object) => isForeign(object) || contradicts(object, ruleset));
  const kept = isLost ? [] : present;
  return toText([
    ...(isLost ? DELETE_TABLE : []),
    { add: { table: TABLE_OBJECT } },
    { flush: { table: TABLE_OBJECT } }, // the rules of every chain
    ...objects(ruleset),
    ...ruleset.sets.flatMap((set) => elements(set, kept)),
    ...removals(ruleset, kept),
    ...rules(ruleset),
  ]);
}

/** Succeeds whether the table is there or not. */
export function deleteTable(): string {
  return toText(DELETE_TABLE);
}

export function addEmptyChain(name: string): string {
  return toText([{ add: { chain: { ...TABLE, name } } }]);
}

const TABLE_OBJECT = { family: TABLE.family, name: TABLE.table };
const DELETE_TABLE: readonly Command[] = [{ add: { table: TABLE_OBJECT } }, { delete: { table: TABLE_OBJECT } }];

const KNOWN_KINDS = ["metainfo", "table", "chain", "rule", "set", "map", "counter"];

/** What we never make, or a table that was put to sleep: the kernel does not wake and change one in one transaction. */
function isForeign(object: ListedObject): boolean {
  return !KNOWN_KINDS.some((kind) => kind in object) || object["table"]?.["flags"] !== undefined;
}

/** Whether it has the name of something wanted that is of another make, as an older version's may be. */
function contradicts({ chain, set, map }: ListedObject, { chains, sets }: Ruleset): boolean {
  const wantedChain = chains.find(({ name }) => name === chain?.["name"]);
  if (wantedChain !== undefined) return !sameFields(chain, { policy: undefined, ...hookOf(wantedChain) });
  const listed = set ?? map;
  const wantedSet = sets.find(({ name }) => name === listed?.["name"]);
  return wantedSet !== undefined && !sameFields(listed, { type: wantedSet.type, map: wantedSet.map });
}

function sameFields(listed: Readonly<Record<string, unknown>> | undefined, wanted: Readonly<Record<string, unknown>>) {
  return Object.entries(wanted).every(([key, value]) => listed?.[key] === value);
}

/** Adding what is there already has no effect. */
function objects({ counters, chains, sets }: Ruleset): Command[] {
  return [
    ...counters.map((name) => ({ add: { counter: { ...TABLE, name } } })),
    ...chains.map((chain) => ({ add: { chain: { ...TABLE, name: chain.name, ...hookOf(chain) } } })),
    ...sets.map(addSet),
  ];
}

/** Takes away first: what comes may overlap with what goes. Packets see both at once. */
function elements({ name, elements: wanted }: NamedSet, present: readonly ListedObject[]): Command[] {
  const there = elementsOf(name, present);
  const change = (verb: "add" | "delete", elem: readonly unknown[]) =>
    elem.length === 0 ? [] : [{ [verb]: { element: { ...TABLE, name, elem } } }];
  return [...change("delete", without(there, wanted)), ...change("add", without(wanted, there))];
}

/** nft lists an element as we write it, prefix or address, with its verdict in a map. */
function without(elements: readonly unknown[], excluded: readonly unknown[]): readonly unknown[] {
  const keys = new Set(excluded.map((element) => JSON.stringify(element)));
  return elements.filter((element) => !keys.has(JSON.stringify(element)));
}

function removals({ counters, chains, sets }: Ruleset, present: readonly ListedObject[]): Command[] {
  const setNames = new Set(sets.map(({ name }) => name));
  const maps = surplus("map", setNames, present);
  const unused = [
    ...maps,
    ...surplus("set", setNames, present),
    ...surplus("chain", new Set(chains.map(({ name }) => name)), present),
    ...surplus("counter", new Set(counters), present),
  ];
  return [
    ...maps.map((map) => ({ flush: map })), // its elements hold on to chains
    ...unused.map((each) => ({ delete: each })),
  ];
}

function surplus(kind: string, wanted: ReadonlySet<string>, present: readonly ListedObject[]): Command[] {
  return present.flatMap((object) => {
    const name = object[kind]?.["name"];
    return name === undefined || wanted.has(String(name)) ? [] : [{ [kind]: { ...TABLE, name } }];
  });
}

function rules({ chains }: Ruleset): Command[] {
  return chains.flatMap(({ name: chain, rules }) =>
    rules.map((expr) => ({ add: { rule: { ...TABLE, chain, expr } } })),
  );
}

function hookOf({ hook }: Chain): Readonly<Record<string, unknown>> {
  return hook === undefined ? {} : { ...hook, policy: "accept" };
}

function addSet({ name, type, map }: NamedSet): Command {
  const definition = { ...TABLE, name, type, flags: ["interval"] };
  return { add: map === undefined ? { set: definition } : { map: { ...definition, map } } };
}

function elementsOf(name: string, present: readonly ListedObject[]): readonly unknown[] {
  const listed = present.map(({ set, map }) => set ?? map).find((each) => each?.["name"] === name);
  const elements = listed?.["elem"];
  return Array.isArray(elements) ? elements : [];
}

function toText(commands: readonly Command[]): string {
  return JSON.stringify({ nftables: commands });
}
