import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  AdmissionSchema,
  DefaultLinks,
  Direction,
  type LinkSchema,
  MeshSchema,
  Protocol,
} from "@spanwire/proto/record";
import { expect, test } from "vitest";
import { testPolicy } from "./testing.ts";
import { policyMembers, validatePolicy } from "./validate.ts";

const MEMBERS = policyMembers(
  create(MeshSchema, { overlayIpv4: "198.18.0.0/15", overlayIpv6: "fd5a:1::/48" }),
  [
    { clusterId: "us", prefixes: ["10.2.0.0/16"], overlayIndex: 1, labels: { role: "spoke" } },
    { clusterId: "eu", prefixes: ["10.1.0.0/16"], overlayIndex: 0, labels: { role: "hub" } },
    { clusterId: "plant", prefixes: [], overlayIndex: 2 },
  ].map((init) => create(AdmissionSchema, init)),
);

const EU_US = { name: "x", left: { clusters: ["eu"] }, right: { clusters: ["us"] } };
const TCP = { direction: Direction.BOTH, protocol: Protocol.TCP };

function problems(
  links: readonly MessageInitShape<typeof LinkSchema>[],
  fallback: DefaultLinks = DefaultLinks.FULL_MESH,
): string[] {
  return validatePolicy(testPolicy(links, fallback), MEMBERS).map(
    ({ severity, path, message }) => `${severity} ${path}: ${message}`,
  );
}

test("members are read by id, with prefixes and overlay block", () => {
  expect(MEMBERS.map(({ id, owned }) => [id, ...owned.map(({ text }) => text)])).toEqual([
    ["eu", "10.1.0.0/16", "198.18.0.0/26", "fd5a:1::/64"],
    ["plant", "198.18.0.128/26", "fd5a:1:0:2::/64"],
    ["us", "10.2.0.0/16", "198.18.0.64/26", "fd5a:1:0:1::/64"],
  ]);
});

test.each<{ name: string; links: readonly MessageInitShape<typeof LinkSchema>[] }>([
  { name: "no links", links: [] },
  {
    name: "ports and prefixes",
    links: [
      { ...EU_US, allow: [{ ...TCP, ports: [{ first: 1, last: 65_535 }], sources: ["10.1.4.0/24", "198.18.0.0/32"] }] },
    ],
  },
  { name: "a wide prefix", links: [{ ...EU_US, allow: [{ ...TCP, destinations: ["10.0.0.0/8"] }] }] },
  {
    name: "transit",
    links: [{ name: "x", left: { clusters: ["us"] }, right: { clusters: ["plant"] }, transit: "eu" }],
  },
  { name: "a denied pair", links: [{ ...EU_US, deny: true }] },
])("nothing is wrong with $name", ({ links }) => expect(problems(links)).toEqual([]));

test.each<{ name: string; links: readonly MessageInitShape<typeof LinkSchema>[]; want: readonly string[] }>([
  {
    name: "a side is missing",
    links: [{ name: "x", left: {} }],
    want: ["error links[0].right: is missing: {} selects every cluster"],
  },
  { name: "two links have one name", links: [EU_US, EU_US], want: ['error links[1].name: another link is named "x"'] },
  {
    name: "clusters are not known yet",
    links: [{ name: "x", left: { clusters: ["asia"] }, right: { labels: { role: "edge" } }, transit: "moon" }],
    want: [
      'warning links[0].left.clusters: no cluster is named "asia", yet',
      "warning links[0].right.labels: no cluster carries these labels, yet",
      'warning links[0].transit: no cluster is named "moon", yet: its pairs have no path',
    ],
  },
  {
    name: "a cluster is to carry its own traffic",
    links: [{ ...EU_US, transit: "us" }],
    want: ['error links[0].transit: "us" is an end of the link: it cannot carry its own traffic'],
  },
  {
    name: "the carrier is not linked to an end",
    links: [
      { name: "x", left: { clusters: ["us"] }, right: { clusters: ["plant"] }, transit: "eu" },
      { name: "y", left: { clusters: ["eu"] }, right: { clusters: ["plant"] }, deny: true },
    ],
    want: ['warning links[0].transit: "eu" is not linked directly to "plant": what it would carry has no path'],
  },
  {
    name: "a denied link allows something",
    links: [{ ...EU_US, deny: true, allow: [TCP] }],
    want: ["error links[0].deny: a denied pair has no link: leave out allow and transit"],
  },
  {
    name: "an allowance is impossible",
    links: [
      {
        ...EU_US,
        allow: [
          { protocol: Protocol.ICMP, ports: [{ first: 9, last: 7 }], sources: ["10.1.0.1/16"], destinations: ["x"] },
        ],
      },
    ],
    want: [
      "error links[0].allow[0].direction: must be both, left-to-right or right-to-left",
      "error links[0].allow[0].ports: ports need the protocol tcp or udp",
      "error links[0].allow[0].ports[0]: 9-7 is not a range of ports from 1 to 65535",
      'error links[0].allow[0].sources[0]: "10.1.0.1/16" has host bits set: the prefix is 10.1.0.0/16',
      'error links[0].allow[0].destinations[0]: "x" is not a prefix: write it as address/length, like 10.1.0.0/16',
    ],
  },
  {
    name: "a prefix is nobody's of the link",
    links: [{ ...EU_US, allow: [{ ...TCP, destinations: ["10.9.0.0/16"] }] }],
    want: [
      "warning links[0].allow[0].destinations[0]: no cluster of the link is admitted for anything in 10.9.0.0/16: nothing crosses",
    ],
  },
])("$name", ({ links, want }) => expect(problems(links)).toEqual(want));

test("the default must be said", () => {
  expect(problems([], DefaultLinks.UNSPECIFIED)).toEqual(["error default_links: must be full-mesh or none"]);
});
