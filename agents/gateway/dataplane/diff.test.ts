import { flatten } from "@spanwire/core/desired/desired";
import type { LocalFacts } from "@spanwire/core/desired/local-facts";
import type { KernelState, Nexthop, Peer, Route } from "@spanwire/core/desired/state";
import type { TestMesh } from "@spanwire/core/desired/testing";
import { generateWireGuardKey } from "@spanwire/runtime/crypto/wireguard-key";
import { expect, test } from "vitest";
import type { Change } from "../kernel/change.ts";
import { describeChange } from "../kernel/describe.ts";
import { FakeKernel } from "../kernel/fake/fake-kernel.ts";
import type { ObservedRoute } from "../kernel/port.ts";
import { diff } from "./diff.ts";
import { diffNexthops } from "./diff-nexthops.ts";
import { diffPeers, type PresentPeer } from "./diff-peers.ts";
import { diffRoutes, diffRules } from "./diff-routes.ts";
import { observe } from "./observe.ts";
import { inOrder, type Planned } from "./step.ts";
import { bring, EU, US, wishOf } from "./testing.ts";

const { privateKey: secret } = generateWireGuardKey();

const lines = (planned: readonly Planned[]): string[] => inOrder(planned).map(describeChange);

function peer(publicKey: string, allowedIps: string, more: Partial<Peer> = {}): Peer {
  const ips = allowedIps === "" ? [] : allowedIps.split(" ");
  const rest = { hasPresharedKey: false, endpoints: [], keepaliveSeconds: 20 };
  return { device: "sw-a0", publicKey, allowedIps: ips, ...rest, ...more };
}

const live = (each: Peer): PresentPeer => ({ ...each, live: true });
const fresh = (each: Peer): PresentPeer => ({ ...each, live: false });

interface PeerCase {
  readonly name: string;
  readonly wanted: readonly Peer[];
  readonly present: readonly PresentPeer[];
  readonly want: readonly string[];
}

test.each<PeerCase>([
  { name: "nothing to do", wanted: [peer("X", "p q")], present: [live(peer("X", "q p"))], want: [] },
  {
    name: "a prefix more, a prefix less",
    wanted: [peer("X", "p q")],
    present: [live(peer("X", "q r"))],
    want: ["add allowed-ips p to peer X of sw-a0", "remove allowed-ips r from peer X of sw-a0"],
  },
  {
    name: "a prefix moves between peers of a device: one change",
    wanted: [peer("X", "p"), peer("Y", "q r")],
    present: [live(peer("X", "p q")), live(peer("Y", "r"))],
    want: ["add allowed-ips q to peer Y of sw-a0"],
  },
  {
    name: "a prefix moves between devices: added, then removed",
    wanted: [peer("X", "p"), peer("Y", "q r", { device: "sw-a1" })],
    present: [live(peer("X", "p q")), live(peer("Y", "r", { device: "sw-a1" }))],
    want: ["add allowed-ips q to peer Y of sw-a1", "remove allowed-ips q from peer X of sw-a0"],
  },
  {
    name: "another key: the new peer takes the prefixes, then the old one goes",
    wanted: [peer("Y", "p q")],
    present: [live(peer("X", "p q"))],
    want: ["add peer Y to sw-a0 keepalive 20 allowed-ips p,q", "remove peer X from sw-a0"],
  },
  {
    name: "a stolen prefix is taken back and the thief goes",
    wanted: [peer("X", "p q")],
    present: [live(peer("X", "p")), live(peer("Z", "q"))],
    want: ["add allowed-ips q to peer X of sw-a0", "remove peer Z from sw-a0"],
  },
  {
    name: "two peers claim a prefix: the first keeps it, and they do not fight over it",
    wanted: [peer("X", "p"), peer("Y", "p q")],
    present: [live(peer("X", "p")), live(peer("Y", "q"))],
    want: [],
  },
  {
    name: "an endpoint is never compared",
    wanted: [peer("X", "p", { endpoints: ["192.0.2.9:1"] })],
    present: [live(peer("X", "p"))],
    want: [],
  },
  {
    name: "a new peer gets its first endpoint, if that is an address",
    wanted: [
      peer("X", "p", { endpoints: ["[2001:db8::1]:1", "192.0.2.9:1"] }),
      peer("Y", "q", { endpoints: ["host.example:1", "192.0.2.9:1"] }),
    ],
    present: [],
    want: [
      "add peer X to sw-a0 endpoint [2001:db8::1]:1 keepalive 20 allowed-ips p",
      "add peer Y to sw-a0 keepalive 20 allowed-ips q",
    ],
  },
  {
    name: "keepalive",
    wanted: [peer("X", "p", { keepaliveSeconds: 25 })],
    present: [live(peer("X", "p"))],
    want: ["set keepalive 25 of peer X of sw-a0"],
  },
  {
    name: "a preshared key for a peer that has no session yet, and none for one that may have",
    wanted: ["X", "Y"].map((key) => peer(key, key, { hasPresharedKey: true, presharedKey: secret })),
    present: [live(peer("X", "X")), fresh(peer("Y", "Y"))],
    want: ["set preshared-key [secret] of peer Y of sw-a0"],
  },
  {
    name: "a preshared key too many, likewise",
    wanted: [peer("X", "X"), peer("Y", "Y")],
    present: [live(peer("X", "X", { hasPresharedKey: true })), fresh(peer("Y", "Y", { hasPresharedKey: true }))],
    want: ["set preshared-key none of peer Y of sw-a0"],
  },
])("peers: $name", ({ wanted, present, want }) => {
  expect(lines(diffPeers(wanted, present))).toEqual(want);
});

const single = (id: number, device: string): Nexthop => ({ kind: "device", id, family: "ipv4", device });
const group = (id: number, ids: readonly number[], resilientBuckets: number | undefined = 32): Nexthop => ({
  kind: "group",
  id,
  members: ids.map((each) => ({ id: each, weight: 1 })),
  resilientBuckets,
});
const via = (destination: string, id: number, source = "198.18.0.0"): Route => ({
  table: 5180,
  destination,
  metric: 0,
  target: { kind: "nexthop", id, source },
});

test.each([
  {
    name: "a plane flip is one change",
    wanted: [single(1, "sw-b0"), group(9, [1, 2])],
    present: [single(1, "sw-a0"), group(9, [2, 1])],
    want: ["replace nexthop id 1 dev sw-b0 ipv4"],
  },
  {
    name: "a member leaves its group before it goes",
    wanted: [single(1, "sw-a0"), group(9, [1])],
    present: [single(1, "sw-a0"), single(2, "sw-a1"), group(9, [1, 2])],
    want: ["replace nexthop id 9 group 1 type resilient buckets 32", "remove nexthop id 2"],
  },
  {
    name: "a group goes before its members",
    wanted: [],
    present: [single(1, "sw-a0"), group(9, [1])],
    want: ["remove nexthop id 9", "remove nexthop id 1"],
  },
  {
    name: "a foreign object on our id makes way, and takes along what was built on it",
    wanted: [single(1, "sw-a0"), group(9, [1])],
    present: [{ kind: "other" as const, id: 1 }, group(9, [1])],
    want: [
      "remove nexthop id 1",
      "replace nexthop id 1 dev sw-a0 ipv4",
      "replace nexthop id 9 group 1 type resilient buckets 32",
    ],
  },
  { name: "a foreign object in our range stays", wanted: [], present: [{ kind: "other" as const, id: 7 }], want: [] },
])("nexthops: $name", ({ wanted, present, want }) => {
  expect(lines(diffNexthops(wanted, present).planned)).toEqual(want);
});

test("a group of another size is made anew, with the routes that it takes along", () => {
  const { planned, remade } = diffNexthops(
    [single(1, "sw-a0"), group(9, [1], 64)],
    [single(1, "sw-a0"), group(9, [1])],
  );
  const routes = [via("10.2.0.0/16", 9), via("10.3.0.0/16", 1)];
  expect(lines([...planned, ...diffRoutes(routes, routes, remade)])).toEqual([
    "remove nexthop id 9",
    "replace nexthop id 9 group 1 type resilient buckets 64",
    "replace route 10.2.0.0/16 nhid 9 src 198.18.0.0 table 5180",
  ]);
});

const foreign = (destination: string): ObservedRoute => ({
  table: 5180,
  destination,
  metric: 0,
  target: { kind: "other", type: 7 },
});

test.each([
  {
    name: "another source, nexthop or MTU: replaced in place",
    wanted: [via("p/8", 1, "a"), via("q/8", 2), { ...via("r/8", 1), mtuBytes: 1380 }],
    present: [via("p/8", 1, "b"), via("q/8", 1), via("r/8", 1)],
    want: [
      "replace route p/8 nhid 1 src a table 5180",
      "replace route q/8 nhid 2 src 198.18.0.0 table 5180",
      "replace route r/8 nhid 1 src 198.18.0.0 table 5180 mtu 1380",
    ],
  },
  { name: "a foreign route stays", wanted: [], present: [foreign("p/8")], want: [] },
  {
    name: "unless it stands in a slot of ours",
    wanted: [via("p/8", 1)],
    present: [foreign("p/8")],
    want: ["replace route p/8 nhid 1 src 198.18.0.0 table 5180"],
  },
  {
    name: "two routes for one slot: the first has it",
    wanted: [via("p/8", 1), via("p/8", 2)],
    present: [via("p/8", 1)],
    want: [],
  },
])("routes: $name", ({ wanted, present, want }) => {
  expect(lines(diffRoutes(wanted, present))).toEqual(want);
});

test("a rule of another priority is there before the former one goes", () => {
  const rule = { family: "ipv4", priority: 5180, notFwmark: { mark: 4096, mask: 4096 }, table: 5180 } as const;
  expect(lines(diffRules([{ ...rule, priority: 90 }], [rule]))).toEqual([
    "add rule 90: not fwmark 0x1000/0x1000 lookup 5180 ipv4",
    "remove rule 5180: not fwmark 0x1000/0x1000 lookup 5180 ipv4",
  ]);
});

/** From one wish to another, from what a kernel holds after the first. */
async function changes(from: TestMesh, to: TestMesh, facts: Partial<LocalFacts> = {}): Promise<string[]> {
  const kernel = new FakeKernel();
  await bring(kernel, wishOf(from));
  return describe(flatten(wishOf(to, facts)), kernel);
}

async function describe(desired: KernelState, kernel: FakeKernel): Promise<string[]> {
  return diff(desired, await observe(kernel)).map(describeChange);
}

test("another overlay block: the new stable address is there before the routes, the old one goes after them", async () => {
  const isAboutSw0OrRoutes = (line: string) => /sw0|nhid/.test(line);
  const steps = await changes({ clusters: [EU, US] }, { clusters: [{ ...EU, block: 5 }, US] });
  expect(steps.filter(isAboutSw0OrRoutes)).toEqual([
    "add address 198.18.1.64/32 to sw0",
    "replace route 10.2.0.0/16 nhid 518000140 src 198.18.1.64 table 5180",
    "replace route 198.18.0.112/32 nhid 518000100 src 198.18.1.64 table 5180",
    "replace route 198.18.0.113/32 nhid 518000101 src 198.18.1.64 table 5180",
    "replace route 198.18.0.64/32 nhid 518000100 src 198.18.1.64 table 5180",
    "replace route 198.18.0.65/32 nhid 518000101 src 198.18.1.64 table 5180",
    "remove address 198.18.0.0/32 from sw0",
  ]);
});

test("another base port and MTU: the devices stay", async () => {
  const mesh = { clusters: [EU, US] };
  const isOfDevice = (line: string) => !line.startsWith("replace firewall");
  expect((await changes(mesh, mesh, { basePort: 40_000, mtuBytes: 1380 })).filter(isOfDevice)).toEqual([
    "set link sw0 mtu 1380",
    "set device sw-a0 listen-port 40000",
    "set link sw-a0 mtu 1380",
    "set device sw-a1 listen-port 40002",
    "set link sw-a1 mtu 1380",
  ]);
});

test("a device that is none of ours is not touched, in the way or not", async () => {
  const kernel = new FakeKernel();
  const foreigners: readonly Change[] = [
    { kind: "add-dummy-link", name: "sw-a0", mtuBytes: 1500 },
    { kind: "add-address", address: { device: "sw-a0", address: "192.0.2.1/24" } },
    { kind: "add-dummy-link", name: "sw-other", mtuBytes: 1500 },
  ];
  for (const change of foreigners) kernel.byHand(change);
  const steps = await describe(flatten(wishOf({ clusters: [EU] })), kernel);
  expect(steps.filter((line) => line.includes("sw-other") || line.includes("sw-a0"))).toEqual([]);
});

test("a lane that somebody takes down gets back what the kernel took with it, and nothing else", async () => {
  const kernel = new FakeKernel();
  const wish = wishOf({ clusters: [EU, US] });
  await bring(kernel, wish);
  kernel.byHand({ kind: "set-link", name: "sw-a1", up: false });
  expect(await describe(flatten(wish), kernel)).toEqual([
    "set link sw-a1 up",
    "replace nexthop id 518000101 dev sw-a1 ipv4",
    "replace nexthop id 518000140 group 518000100/518000101 type resilient buckets 32",
    "replace route 198.18.0.113/32 nhid 518000101 src 198.18.0.0 table 5180",
    "replace route 198.18.0.65/32 nhid 518000101 src 198.18.0.0 table 5180",
    "replace route 198.18.0.81/32 dev sw-a1 src 198.18.0.16 table 5180",
  ]);
});

test.each([
  { name: "flushed", spoil: (kernel: FakeKernel) => kernel.byHand({ kind: "remove-firewall" }) },
  { name: "edited", spoil: (kernel: FakeKernel) => kernel.alterFirewall("a rule is missing") },
])("a firewall that somebody $name is written again", async ({ spoil }) => {
  const kernel = new FakeKernel();
  const wish = wishOf({ clusters: [EU, US] });
  await bring(kernel, wish);
  spoil(kernel);
  expect(await describe(flatten(wish), kernel)).toEqual([
    "replace firewall: 3 remote prefixes, 8 forward rules, 0 translations",
  ]);
});
