/**
 * @module The stateless link policy: which packets between mesh prefixes are forwarded.
 *
 * Judged are forwarded packets with a remote source or destination; all others pass. A judged packet is looked up by its
 * remote end in a verdict map, so that its cost does not grow with the number of links, and passes by the tuple of a rule
 * or as the answer to one. There is no connection tracking: request and answer may use different gateways.
 */
import type { ForwardRule } from "@spanwire/core/desired/state";
import {
  accept,
  anyOf,
  type Chain,
  count,
  drop,
  type Expression,
  goBack,
  goTo,
  jump,
  masked,
  match,
  meta,
  type NamedSet,
  payload,
  prefix,
} from "./commands.ts";
import type { RemotePrefixes } from "./remote-prefixes.ts";

export const DENIED = "denied";
/** Counted before and after every chain on the forward hook, ours and others': the difference is what was dropped there. */
export const ENTERED = "forward/entered";
export const PASSED = "forward/passed";
/** Beyond the priorities that anybody uses (-400 to 400). */
const BEFORE_ALL = -10_000;
const AFTER_ALL = 10_000;
const ANSWERS = "answers";
const LINK_POLICY = "link-policy";

/** Errors that a sender must see or its packets vanish without a word: path MTU discovery lives on one of them. */
const ICMP_ERRORS = ["destination-unreachable", "time-exceeded", "parameter-problem"];
const ICMPV6_ERRORS = ["destination-unreachable", "packet-too-big", "time-exceeded", "parameter-problem"];
const FRAGMENT_OFFSET = 0x1fff;

export function renderLinkPolicy(forward: readonly ForwardRule[], remote: RemotePrefixes) {
  const rules = placeRules(forward, remote);
  const placed = Map.groupBy(rules, ({ chain }) => chain);
  const unplaced = placed.get(LINK_POLICY) ?? [];
  placed.delete(LINK_POLICY);
  const chains: Chain[] = [
    ...[...placed].map(([name, members]) => ({ name, rules: members.map(({ expressions }) => expressions) })),
    answers(),
    {
      name: LINK_POLICY,
      rules: [
        [match(payload("icmp", "type"), { set: ICMP_ERRORS }), accept],
        [match(payload("icmpv6", "type"), { set: ICMPV6_ERRORS }), accept],
        // Later fragments have no ports. They pass: without the first one nobody can put them together.
        [match(masked(payload("ip", "frag-off"), FRAGMENT_OFFSET), 0, "!="), accept],
        [match({ exthdr: { name: "frag", field: "frag-off" } }, 0, "!="), accept],
        ...LOOKUPS.map(({ protocol, field, map }) => [{ vmap: { key: payload(protocol, field), data: `@${map}` } }]),
        ...unplaced.map(({ expressions }) => expressions),
        [count(DENIED), drop],
      ],
    },
    {
      name: "forward",
      hook: { type: "filter", hook: "forward", prio: BEFORE_ALL },
      rules: judged([count(ENTERED), goTo(LINK_POLICY)]),
    },
    {
      name: "forwarded",
      hook: { type: "filter", hook: "forward", prio: AFTER_ALL },
      rules: judged([count(PASSED), accept]),
    },
  ];
  const sets: NamedSet[] = LOOKUPS.map(({ map, type, towards, ipv6 }) => ({
    name: map,
    type,
    map: "verdict",
    elements: remote.prefixes
      .filter((entry) => entry.includes(":") === ipv6)
      .map((entry) => ({ entry, chain: chainName(towards, entry) }))
      .filter(({ chain }) => placed.has(chain))
      .map(({ entry, chain }) => [prefix(entry), jump(chain)]),
  }));
  return { chains, sets, counters: [...new Set(rules.map(({ counter }) => counter))] };
}

type Towards = "to" | "from";

/** By destination first: most packets of a gateway without transit have only one remote end anyway. */
const LOOKUPS = [
  { map: "to4", towards: "to", protocol: "ip", field: "daddr", type: "ipv4_addr", ipv6: false },
  { map: "to6", towards: "to", protocol: "ip6", field: "daddr", type: "ipv6_addr", ipv6: true },
  { map: "from4", towards: "from", protocol: "ip", field: "saddr", type: "ipv4_addr", ipv6: false },
  { map: "from6", towards: "from", protocol: "ip6", field: "saddr", type: "ipv6_addr", ipv6: true },
] as const;

const JUDGED = [
  { protocol: "ip", field: "daddr", set: "@remote4" },
  { protocol: "ip", field: "saddr", set: "@remote4" },
  { protocol: "ip6", field: "daddr", set: "@remote6" },
  { protocol: "ip6", field: "saddr", set: "@remote6" },
] as const;

/** What is done with a packet that has a remote end, once for each. */
function judged(verdict: readonly Expression[]): Expression[][] {
  return JUDGED.map(({ protocol, field, set }) => [match(payload(protocol, field), set), ...verdict]);
}

interface PlacedRule {
  readonly chain: string;
  readonly counter: string;
  readonly expressions: readonly Expression[];
}

/** Each rule twice, as its tuple and as the mirror of it, in the chain of the remote prefix that it is about. */
function placeRules(forward: readonly ForwardRule[], remote: RemotePrefixes): PlacedRule[] {
  return forward.flatMap((rule) => {
    const { link, direction, source, destination } = rule;
    const outward = direction !== "in"; // also through: a rule from lane to lane is about its destination
    const entry = remote.find(outward ? destination : source);
    const place = (towards: Towards, expressions: readonly Expression[], verdict: Expression): PlacedRule => {
      const counter = `link/${link.replaceAll("~", "/")}/${towards === "to" ? "sent" : "received"}`;
      const chain = entry === undefined ? LINK_POLICY : chainName(towards, entry);
      return { chain, counter, expressions: [...expressions, count(counter), verdict] };
    };
    const tuple = [...ends(source, destination), ...service(rule, "dport")];
    const mirror = [...ends(destination, source), ...service(rule, "sport")];
    return outward
      ? [place("to", tuple, accept), place("from", mirror, jump(ANSWERS))]
      : [place("from", tuple, accept), place("to", mirror, jump(ANSWERS))];
  });
}

/** What begins something is no answer, and goes back for the rules that allow it the other way round. */
function answers(): Chain {
  return {
    name: ANSWERS,
    rules: [
      [match(masked(payload("tcp", "flags"), ["syn", "ack"]), "syn"), goBack],
      [match(payload("icmp", "type"), "echo-request"), goBack],
      [match(payload("icmpv6", "type"), "echo-request"), goBack],
      [accept],
    ],
  };
}

function ends(source: string, destination: string): Expression[] {
  const protocol = source.includes(":") ? "ip6" : "ip";
  return [match(payload(protocol, "saddr"), prefix(source)), match(payload(protocol, "daddr"), prefix(destination))];
}

function service({ protocol, ports, source }: ForwardRule, field: "dport" | "sport"): Expression[] {
  if (protocol === "any") return [];
  if (protocol === "icmp") return [match(meta("l4proto"), source.includes(":") ? "ipv6-icmp" : "icmp")];
  if (ports.length === 0) return [match(meta("l4proto"), protocol)];
  const values = ports.map(({ first, last }) => (first === last ? first : { range: [first, last] }));
  return [match(payload(protocol, field), anyOf(values))];
}

/** Names hold no colon. */
function chainName(towards: Towards, entry: string): string {
  return `${towards}/${entry.replaceAll(":", "_")}`;
}
