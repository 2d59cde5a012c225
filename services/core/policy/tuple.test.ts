import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { AllowSchema, Protocol } from "@spanwire/proto/record";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { containsCidr, overlaps, parseCidr } from "../address/cidr.ts";
import { everyTuple, tuplesOf } from "./tuple.ts";

const OURS = ["10.1.0.0/16", "198.18.0.0/26", "fd01::/48"].map(parseCidr);
const THEIRS = ["10.2.0.0/16", "fd02::/48"].map(parseCidr);

function text(allow: MessageInitShape<typeof AllowSchema>): string[] {
  return tuplesOf(create(AllowSchema, { protocol: Protocol.TCP, ...allow }), OURS, THEIRS).map(
    ({ source, destination, protocol, ports }) =>
      [source, destination, protocol, ...ports.map(({ first, last }) => `${first}-${last}`)].join(" "),
  );
}

test("everything is each source to each destination of its family", () => {
  expect(everyTuple(OURS, THEIRS)).toEqual([
    { source: "10.1.0.0/16", destination: "10.2.0.0/16", protocol: "any", ports: [] },
    { source: "198.18.0.0/26", destination: "10.2.0.0/16", protocol: "any", ports: [] },
    { source: "fd01::/48", destination: "fd02::/48", protocol: "any", ports: [] },
  ]);
});

describe("prefixes of the policy", () => {
  test.each([
    {
      name: "that are not named are all that is admitted",
      allow: {},
      want: ["10.1.0.0/16 10.2.0.0/16 tcp", "198.18.0.0/26 10.2.0.0/16 tcp", "fd01::/48 fd02::/48 tcp"],
    },
    {
      name: "inside the admitted ones are taken",
      allow: { sources: ["10.1.4.0/24"] },
      want: ["10.1.4.0/24 10.2.0.0/16 tcp"],
    },
    {
      name: "around the admitted ones are clipped",
      allow: { sources: ["10.0.0.0/8"], destinations: ["0.0.0.0/0"] },
      want: ["10.1.0.0/16 10.2.0.0/16 tcp"],
    },
    { name: "outside the admitted ones open nothing", allow: { sources: ["10.7.0.0/16"] }, want: [] },
    {
      name: "that contain each other count once",
      allow: { sources: ["10.1.4.0/24", "10.1.0.0/17", "10.1.4.128/25"] },
      want: ["10.1.0.0/17 10.2.0.0/16 tcp"],
    },
    { name: "that do not parse open nothing", allow: { sources: ["10.1.4.1/24"] }, want: [] },
    {
      name: "may be stable or service addresses",
      allow: { sources: ["198.18.0.1/32"] },
      want: ["198.18.0.1/32 10.2.0.0/16 tcp"],
    },
  ])("$name", ({ allow, want }) => expect(text(allow)).toEqual(want));
});

test("ports are kept, an unknown protocol opens nothing", () => {
  const ports = [
    { first: 443, last: 443 },
    { first: 8000, last: 8080 },
  ];
  expect(text({ sources: ["10.1.4.0/24"], ports })).toEqual(["10.1.4.0/24 10.2.0.0/16 tcp 443-443 8000-8080"]);
  expect(text({ protocol: 9 as Protocol })).toEqual([]);
});

test("whatever is named, what opens is admitted, and no two tuples meet", () => {
  const prefix = fc
    .tuple(fc.nat(3), fc.nat(255), fc.integer({ min: 6, max: 24 }))
    .map(([b, c, bits]) => `10.${b}.${c}.0/${bits}`)
    .map((each) => each.replace(/^(.*)\/(\d+)$/, (_, ip: string, bits: string) => mask(ip, Number(bits))));
  fc.assert(
    fc.property(fc.array(prefix, { maxLength: 4 }), fc.array(prefix, { maxLength: 4 }), (sources, destinations) => {
      const tuples = tuplesOf(create(AllowSchema, { protocol: Protocol.ANY, sources, destinations }), OURS, THEIRS);
      const parsed = tuples.map((tuple) => [parseCidr(tuple.source), parseCidr(tuple.destination)] as const);
      for (const [source, destination] of parsed) {
        expect(OURS.some((ours) => containsCidr(ours, source))).toBe(true);
        expect(THEIRS.some((theirs) => containsCidr(theirs, destination))).toBe(true);
      }
      const meeting = parsed.filter(([a, b], i) =>
        parsed.slice(i + 1).some(([c, d]) => overlaps(a, c) && overlaps(b, d)),
      );
      expect(meeting).toEqual([]);
    }),
  );
});

function mask(ip: string, bits: number): string {
  const value = ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const base = Math.floor(value / 2 ** (32 - bits)) * 2 ** (32 - bits);
  return `${[24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join(".")}/${bits}`;
}
