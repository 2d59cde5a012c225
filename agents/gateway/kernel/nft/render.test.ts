import { containsCidr, overlaps, parseCidr } from "@spanwire/core/address/cidr";
import type { Firewall, ForwardRule } from "@spanwire/core/desired/state";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ListedObject, replaceTable } from "./batch.ts";
import { firewallDigest } from "./digest.ts";
import { remotePrefixes } from "./remote-prefixes.ts";
import { renderFirewall } from "./render.ts";
import { SAMPLE } from "./sample.ts";

const MODEL: Firewall = {
  remote: ["10.2.0.0/16", "198.18.0.64/26", "fd00:2::/64"],
  kept: [],
  lanePrefix: "sw-",
  stableDevice: "sw0",
  mark: { mark: 0x1000, mask: 0x1000 },
  forward: [],
  snat: [],
  mssClamp: undefined,
};

function rule(given: Partial<ForwardRule>): ForwardRule {
  const prefixes = { source: "10.1.0.0/16", destination: "10.2.0.0/16" };
  return { link: "eu~us", direction: "out", protocol: "any", ports: [], ...prefixes, ...given };
}

function chainsOf(forward: readonly ForwardRule[]): string[] {
  return renderFirewall({ ...MODEL, forward }).chains.map(({ name }) => name);
}

const FIXED = ["guard-out", "guard-in", "answers", "link-policy", "forward", "forwarded"];

test.each([
  { name: "out", given: {}, chains: ["to/10.2.0.0/16", "from/10.2.0.0/16"] },
  {
    name: "in",
    given: { direction: "in", source: "10.2.0.0/16", destination: "10.1.0.0/16" },
    chains: ["from/10.2.0.0/16", "to/10.2.0.0/16"],
  },
  {
    name: "through, placed by its destination",
    given: { direction: "through", source: "10.2.0.0/16", destination: "198.18.0.70/32" },
    chains: ["to/198.18.0.64/26", "from/198.18.0.64/26"],
  },
  {
    name: "a part of a remote prefix",
    given: { destination: "10.2.7.0/24" },
    chains: ["to/10.2.0.0/16", "from/10.2.0.0/16"],
  },
  {
    name: "IPv6, by a name without colons",
    given: { source: "fd00:1::/64", destination: "fd00:2::/64" },
    chains: ["to/fd00_2__/64", "from/fd00_2__/64"],
  },
  { name: "in no remote prefix, in the common chain", given: { destination: "10.9.0.0/16" }, chains: [] },
] as const)("a rule goes into the chains of its remote end: $name", ({ given, chains }) => {
  expect(chainsOf([rule(given)]).filter((name) => !FIXED.includes(name))).toEqual(chains);
  const empty = chainsOf([]).length;
  expect(chainsOf([rule(given)]).length).toBe(empty + chains.length);
});

test("equal models are equal bytes", () => {
  const model = { ...MODEL, forward: [rule({}), rule({ protocol: "tcp", ports: [{ first: 80, last: 80 }] })] };
  expect(renderFirewall(structuredClone(model))).toEqual(renderFirewall(model));
  expect(firewallDigest(model)).toMatch(/^[0-9a-f]{32}$/);
});

const anyPrefix = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 8, max: 32 }), fc.boolean())
  .map(([part, bits, ipv6]) => (ipv6 ? `fd00:${part.toString(16)}::/${bits + 24}` : maskIpv4(part, bits)))
  .map((text) => text.replace("fd00:0::", "fd00::"))
  .filter((text) => !text.includes(":") || Number(text.split("/")[1]) >= 32);

function maskIpv4(part: number, bits: number): string {
  const value = ((10 << 24) | (part << 16) | (part << 4)) >>> 0;
  const masked = (value & (bits === 0 ? 0 : (~0 << (32 - bits)) >>> 0)) >>> 0;
  return `${masked >>> 24}.${(masked >> 16) & 255}.${(masked >> 8) & 255}.${masked & 255}/${bits}`;
}

test("remote prefixes are made disjoint, and each is found in the one that covers it", () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyPrefix, { maxLength: 30 }), anyPrefix, (texts, other) => {
      const { prefixes, find } = remotePrefixes(texts);
      const cidrs = prefixes.map(parseCidr);
      for (const [index, cidr] of cidrs.entries()) {
        for (const later of cidrs.slice(index + 1)) expect(overlaps(cidr, later)).toBe(false);
      }
      for (const text of [...texts, other]) {
        const covering = prefixes.find((prefix) => containsCidr(parseCidr(prefix), parseCidr(text)));
        expect(find(text)).toBe(covering);
        if (text !== other) expect(covering).toBeDefined();
      }
    }),
  );
});

test("the sample, by which a change of the rendering is known, has every form of rule", () => {
  const known = new Set(formsOf(SAMPLE));
  const anyModel = fc.record({
    remote: fc.uniqueArray(anyPrefix, { maxLength: 5 }),
    kept: fc.array(fc.record({ prefix: anyPrefix, devices: fc.constantFrom(["lan"], ["br0", "lan"]) }), {
      maxLength: 3,
    }),
    forward: fc.array(anyRule, { maxLength: 5 }),
    translated: fc.subarray(["10.1.0.0/16", "fd00:1::/64"]),
    clamped: fc.boolean(),
  });
  fc.assert(
    fc.property(anyModel, ({ remote, kept, forward, translated, clamped }) => {
      const snat = translated.map((source) => ({
        source,
        destination: source,
        to: source.includes(":") ? "fd00::30" : "198.18.0.48",
      }));
      const mssClamp = clamped ? { ipv4: 1380, ipv6: 1360 } : undefined;
      for (const form of formsOf({ ...MODEL, remote, kept, forward, snat, mssClamp })) expect(known).toContain(form);
    }),
  );
});

const anyRule: fc.Arbitrary<ForwardRule> = fc
  .record({
    direction: fc.constantFrom("out", "in", "through"),
    ends: fc.constantFrom(
      ["10.1.0.0/16", "10.2.0.0/16"],
      ["10.1.0.7/32", "10.2.0.9/32"],
      ["fd00:1::/64", "fd00:2::7/128"],
    ),
    protocol: fc.constantFrom("any", "tcp", "udp", "icmp"),
    ports: fc.array(fc.constantFrom({ first: 80, last: 80 }, { first: 90, last: 99 }), { maxLength: 2 }),
  })
  .map(({ ends: [source = "", destination = ""], protocol, ports, direction }) =>
    rule({ source, destination, direction, protocol, ports: protocol === "tcp" || protocol === "udp" ? ports : [] }),
  );

/** Each chain's hook and each rule, without the values that it is about. */
function formsOf(model: Firewall): string[] {
  const { chains, sets } = renderFirewall(model);
  return [
    ...chains.flatMap(({ hook, rules }) => [JSON.stringify(hook), ...rules.map((each) => JSON.stringify(each, blank))]),
    ...sets.map(({ name, type, map }) => JSON.stringify({ name, type, map })),
  ];
}

function blank(key: string, value: unknown): unknown {
  if (key === "right") return "value"; // a port, a range or several, a prefix or an address
  if (typeof value === "number") return 0;
  return typeof value === "string" && ["protocol", "counter", "target", "addr"].includes(key) ? "name" : value;
}

test("writes only the elements that come and go, and keeps what stays", () => {
  const ruleset = renderFirewall({ ...MODEL, remote: ["10.2.0.0/16", "10.3.0.0/16"] });
  const present: ListedObject[] = [
    { table: { name: "spanwire" } },
    { counter: { name: "denied", packets: 7 } },
    { counter: { name: "link/eu/gone/sent", packets: 7 } },
    { set: { name: "remote4", type: "ipv4_addr", elem: [prefix("10.2.0.0"), prefix("10.4.0.0")] } },
    { chain: { name: "answers" } },
    { chain: { name: "applied-old" } },
  ];
  const { nftables } = JSON.parse(replaceTable(ruleset, present)) as { nftables: Record<string, unknown>[] };
  const about = (verb: string, kind: string) =>
    nftables.flatMap((command) => {
      const object = (command[verb] as Record<string, { name: string; elem?: unknown }> | undefined)?.[kind];
      return object === undefined ? [] : [object.elem ?? object.name];
    });
  expect(about("add", "element")).toEqual([[prefix("10.3.0.0")]]);
  expect(about("delete", "element")).toEqual([[prefix("10.4.0.0")]]);
  expect(about("delete", "counter")).toEqual(["link/eu/gone/sent"]);
  expect(about("delete", "chain")).toEqual(["applied-old"]);
  expect(about("delete", "set")).toEqual([]);
  expect(about("delete", "table")).toEqual([]);
});

test.each([
  { name: "an object that we never make", object: { quota: { name: "mine" } } },
  { name: "a sleeping table", object: { table: { name: "spanwire", flags: ["dormant"] } } },
  { name: "a chain of ours on another hook", object: { chain: { name: "guard-in", type: "filter", hook: "input" } } },
  { name: "a set of ours of another type", object: { set: { name: "remote4", type: "inet_service" } } },
])("makes the table anew where it holds $name", ({ object }) => {
  const text = replaceTable(renderFirewall(MODEL), [object]);
  expect(text).toContain('{"delete":{"table":{"family":"inet","name":"spanwire"}}}');
});

function prefix(addr: string) {
  return { prefix: { addr, len: 16 } };
}
