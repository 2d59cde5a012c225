/** What the scheme takes for granted of the kernel's nexthop objects: each a line of decision record 0002. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import type { Namespace } from "./namespace.ts";
import { createTopology, type Topology } from "./topology.ts";

let topology: Topology;
let namespace: Namespace;

beforeAll(async () => {
  topology = await createTopology({ sites: [], machines: ["gw"] });
  namespace = topology.machine("gw").namespace;
});
afterAll(() => topology?.[Symbol.asyncDispose]());

beforeEach(() =>
  namespace.ip(
    "link add d0 type dummy",
    "link add d1 type dummy",
    "link set d0 up",
    "link set d1 up",
    "addr add 198.18.0.1/32 dev d0",
    "addr add 198.18.0.1/32 dev d1",
    "nexthop add id 1 dev d0",
    "nexthop add id 2 dev d1",
    "nexthop add id 9 group 1/2 type resilient buckets 32 idle_timer 0",
    "route add 10.9.0.0/24 nhid 9 src 198.18.0.1 table 5180",
    "route add 10.8.0.0/24 nhid 1 src 198.18.0.1 table 5180",
  ),
);
afterEach(() => namespace.ip("link del d0", "link del d1"));

test("a group keeps its type and number of buckets: another needs another id", async () => {
  await expect(namespace.ip("nexthop replace id 9 group 1")).rejects.toThrow("with one of a different type");
  await expect(namespace.ip("nexthop replace id 9 group 1 type resilient buckets 64")).rejects.toThrow(
    "number of buckets",
  );
  await namespace.ip("nexthop replace id 9 group 1 type resilient");
  expect(await nexthops()).toContainEqual(expect.stringContaining("id 9 group 1 type resilient buckets 32"));
});

test("a nexthop of one family is silently replaced by one of the other: families must not share ids", async () => {
  await namespace.ip6("nexthop replace id 2 dev d1");
  expect(await namespace.sh("ip -6 nexthop")).toContain("id 2 dev d1");
});

test("a nexthop needs a device that is up", async () => {
  await namespace.ip("link set d0 down");
  await expect(namespace.ip("nexthop add id 3 dev d0")).rejects.toThrow("not up");
});

test("a device that goes down takes its nexthop and the routes to it along, and its place in groups", async () => {
  await namespace.ip("link set d0 down");
  expect(await nexthops()).toEqual(["id 2 dev d1 scope host", expect.stringMatching(/^id 9 group 2 /)]);
  expect(await routes()).toEqual(["10.9.0.0/24 nhid 9 dev d1 src 198.18.0.1"]);
  await namespace.ip("link set d1 down");
  expect(await nexthops()).toEqual([]);
  expect(await routes()).toEqual([]);
});

test("the removal of a source address leaves the routes of our table, which then name an address that is gone", async () => {
  await namespace.ip("addr del 198.18.0.1/32 dev d0", "addr del 198.18.0.1/32 dev d1");
  expect(await routes()).toHaveLength(2);
});

test("a nexthop that is replaced moves what routes to it, alone and in groups", async () => {
  await namespace.ip("nexthop replace id 1 dev d1");
  expect(await routes()).toEqual([
    "10.8.0.0/24 nhid 1 dev d1 src 198.18.0.1",
    expect.stringMatching(/^10.9.0.0\/24 nhid 9 src 198.18.0.1\s+nexthop dev d1 weight 1\s+nexthop dev d1 weight 1$/),
  ]);
});

async function nexthops(): Promise<string[]> {
  return lines(await namespace.sh("ip nexthop"));
}

async function routes(): Promise<string[]> {
  return lines(await namespace.sh("ip route show table 5180 || true"));
}

/** One entry for each object: continued lines are indented. */
function lines(text: string): string[] {
  return text
    .split(/\n(?!\s)/)
    .map((entry) => entry.trim().replaceAll(/ +\n/g, "\n"))
    .filter((entry) => entry !== "" && !entry.startsWith("Error: ipv4: FIB table does not exist"));
}
