/** @module The words of `nft -j` (libnftables-json(5)) that our table is written in. */

/** The only table that is ever written. */
export const TABLE = { family: "inet", table: "spanwire" } as const;

export type Expression = Readonly<Record<string, unknown>>;

export interface Chain {
  readonly name: string;
  /** Where packets come in; a chain without one is jumped to. */
  readonly hook?: { readonly type: "filter" | "nat"; readonly hook: string; readonly prio: number };
  readonly rules: readonly (readonly Expression[])[];
}

export interface NamedSet {
  readonly name: string;
  readonly type: "ipv4_addr" | "ipv6_addr";
  /** Prefixes; in a map each with its verdict. */
  readonly elements: readonly unknown[];
  readonly map?: "verdict";
}

export interface Ruleset {
  readonly counters: readonly string[];
  readonly sets: readonly NamedSet[];
  readonly chains: readonly Chain[];
}

export const accept: Expression = { accept: null };
export const drop: Expression = { drop: null };
export const goBack: Expression = { return: null };

export function jump(target: string): Expression {
  return { jump: { target } };
}

export function goTo(target: string): Expression {
  return { goto: { target } };
}

export function count(counter: string): Expression {
  return { counter };
}

export function meta(key: string): Expression {
  return { meta: { key } };
}

export function payload(protocol: string, field: string): Expression {
  return { payload: { protocol, field } };
}

export function masked(left: Expression, mask: unknown): Expression {
  return { "&": [left, mask] };
}

export function match(left: Expression, right: unknown, op: "==" | "!=" = "=="): Expression {
  return { match: { op, left, right } };
}

export function anyOf(values: readonly unknown[]): unknown {
  return values.length === 1 ? values[0] : { set: values };
}

/** "10.1.0.0/16" as an element or the right side of a match; a single address stands for itself. */
export function prefix(text: string): unknown {
  const slash = text.indexOf("/");
  const addr = text.slice(0, slash);
  const len = Number(text.slice(slash + 1));
  return len === (text.includes(":") ? 128 : 32) ? addr : { prefix: { addr, len } };
}
