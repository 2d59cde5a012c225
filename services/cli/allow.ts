/** @module Allow rules as people type and read them: "left->right tcp 443,8000-8010 from 10.1.0.0/16 to 10.2.0.0/24". */
import { create } from "@bufbuild/protobuf";
import { type Allow, AllowSchema, Direction, type PortRange, Protocol } from "@spanwire/proto/record";
import { InvalidArgumentError } from "commander";

const DIRECTIONS = {
  "left->right": Direction.LEFT_TO_RIGHT,
  "right->left": Direction.RIGHT_TO_LEFT,
  both: Direction.BOTH,
} as const;
const PROTOCOLS = { any: Protocol.ANY, tcp: Protocol.TCP, udp: Protocol.UDP, icmp: Protocol.ICMP } as const;

const RULE = new RegExp(
  [
    "^(?:(?<direction>left->right|right->left|both)\\s+)?",
    "(?<protocol>any|tcp|udp|icmp)",
    "(?:\\s+(?<ports>\\d+(?:-\\d+)?(?:,\\d+(?:-\\d+)?)*))?",
    "(?:\\s+from\\s+(?<sources>\\S+))?",
    "(?:\\s+to\\s+(?<destinations>\\S+))?$",
  ].join(""),
);

/** Checks the form only: the hub judges prefixes and ports. */
export function parseAllow(text: string): Allow {
  const parts = RULE.exec(text.trim())?.groups;
  if (parts === undefined) {
    throw new InvalidArgumentError(
      `cannot read "${text}"; write [left->right|right->left|both] any|tcp|udp|icmp [PORTS] [from PREFIXES] [to PREFIXES]`,
    );
  }
  return create(AllowSchema, {
    direction: DIRECTIONS[(parts["direction"] ?? "both") as keyof typeof DIRECTIONS],
    protocol: PROTOCOLS[parts["protocol"] as keyof typeof PROTOCOLS],
    ports: parts["ports"]?.split(",").map(parseRange) ?? [],
    sources: parts["sources"]?.split(",") ?? [],
    destinations: parts["destinations"]?.split(",") ?? [],
  });
}

export function formatAllow({ direction, protocol, ports, sources, destinations }: Allow): string {
  return [
    nameOf(DIRECTIONS, direction),
    nameOf(PROTOCOLS, protocol),
    ports.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`)).join(","),
    sources.length === 0 ? "" : `from ${sources.join(",")}`,
    destinations.length === 0 ? "" : `to ${destinations.join(",")}`,
  ]
    .filter((part) => part !== "")
    .join(" ");
}

function parseRange(text: string): Omit<PortRange, "$typeName"> {
  const [first = 0, last = first] = text.split("-").map(Number);
  return { first, last };
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(names).find(([, each]) => each === value)?.[0] ?? String(value);
}
