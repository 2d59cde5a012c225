import { describe, expect, test } from "vitest";
import { createCompiler } from "./compile.ts";
import { conditionsOf, flatten } from "./desired.ts";
import { printDesired } from "./print.ts";
import {
  compileOnce,
  EU,
  linesOf,
  PLANT,
  planOf,
  putCluster,
  putStatement,
  testLocal,
  testMap,
  US,
} from "./testing.ts";

test("two clusters of two gateways: what gateway eu.0 holds", () => {
  const facts = {
    connected: [
      { device: "lan", network: "10.1.0.0/24" },
      { device: "eth0", network: "192.0.2.0/24" },
    ],
    control: ["203.0.113.9"],
  };
  expect(planOf({ clusters: [EU, US] }, "eu", facts)).toMatchInlineSnapshot(`
    "# devices
    sw-a0 wireguard mtu 1420 listen-port 51820 fwmark 0x1000 public-key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    sw-a1 wireguard mtu 1420 listen-port 51822 fwmark 0x1000 public-key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    sw0 dummy mtu 1420
    # device settings
    sw-a0 rp_filter 2 forwarding 1
    sw-a1 rp_filter 2 forwarding 1
    # addresses
    198.18.0.16/32 dev sw-a0
    198.18.0.16/32 dev sw-a1
    198.18.0.0/32 dev sw0
    # peers
    sw-a0 peer AAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
      endpoint 192.0.2.17:51820
      persistent-keepalive 20
      allowed-ips 10.2.0.0/16, 198.18.0.112/32, 198.18.0.64/32, 198.18.0.80/32
    sw-a1 peer AAEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
      endpoint 192.0.2.18:51820
      persistent-keepalive 20
      allowed-ips 10.2.0.0/16, 198.18.0.113/32, 198.18.0.65/32, 198.18.0.81/32
    # nexthops
    id 518000100 dev sw-a0 (ipv4)
    id 518000101 dev sw-a1 (ipv4)
    id 518000140 group 518000100/518000101 type resilient buckets 32
    # routes
    throw 10.1.0.0/16 table 5180 metric 0
    throw 10.1.0.0/24 table 5180 metric 0
    10.2.0.0/16 nhid 518000140 src 198.18.0.0 table 5180 metric 0
    blackhole 10.2.0.0/16 table 5180 metric 4096
    throw 192.0.2.0/24 table 5180 metric 0
    198.18.0.112/32 nhid 518000100 src 198.18.0.0 table 5180 metric 0
    198.18.0.113/32 nhid 518000101 src 198.18.0.0 table 5180 metric 0
    blackhole 198.18.0.64/26 table 5180 metric 4096
    198.18.0.64/32 nhid 518000100 src 198.18.0.0 table 5180 metric 0
    198.18.0.65/32 nhid 518000101 src 198.18.0.0 table 5180 metric 0
    198.18.0.80/32 dev sw-a0 src 198.18.0.16 table 5180 metric 0
    198.18.0.81/32 dev sw-a1 src 198.18.0.16 table 5180 metric 0
    throw 203.0.113.9/32 table 5180 metric 0
    blackhole fd5a:1:0:1::/64 table 5180 metric 4096
    # rules
    5180: not from all fwmark 0x1000/0x1000 lookup 5180 (ipv4)
    5180: not from all fwmark 0x1000/0x1000 lookup 5180 (ipv6)
    # firewall
    guard by sw-* or mark 0x1000/0x1000 only:
      10.2.0.0/16
      198.18.0.64/26
      fd5a:1:0:1::/64
    allow eu~us in 10.2.0.0/16 -> 10.1.0.0/16 any
    allow eu~us in 10.2.0.0/16 -> 198.18.0.0/26 any
    allow eu~us in 198.18.0.64/26 -> 10.1.0.0/16 any
    allow eu~us in 198.18.0.64/26 -> 198.18.0.0/26 any
    allow eu~us out 10.1.0.0/16 -> 10.2.0.0/16 any
    allow eu~us out 10.1.0.0/16 -> 198.18.0.64/26 any
    allow eu~us out 198.18.0.0/26 -> 10.2.0.0/16 any
    allow eu~us out 198.18.0.0/26 -> 198.18.0.64/26 any
    mss at most 1380 (ipv4), 1360 (ipv6)
    "
  `);
});

test("inner IPv6, and an epoch that is opening: both planes have lanes and peers, the active one carries", () => {
  const us = { ...US, prefixes: ["10.2.0.0/16", "2001:db8:2::/48"], gateways: [{ ordinal: 0 }] };
  const mesh = { clusters: [{ ...EU, gateways: [{ ordinal: 0 }] }, us], epoch: { active: 3n, opening: 4n } };
  expect(
    linesOf(planOf(mesh, "eu", { ipv6: "routed" }), "#", "sw", "198", "fd5a", "id", "10.2", "2001"),
  ).toMatchInlineSnapshot(`
    "# devices
    sw-a0 wireguard mtu 1420 listen-port 51820 fwmark 0x1000 public-key AAAABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    sw-a1 wireguard mtu 1420 listen-port 51822 fwmark 0x1000 public-key AAAABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    sw-b0 wireguard mtu 1420 listen-port 51821 fwmark 0x1000 public-key AAAAAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    sw-b1 wireguard mtu 1420 listen-port 51823 fwmark 0x1000 public-key AAAAAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    sw0 dummy mtu 1420
    # device settings
    sw-a0 rp_filter 2 forwarding 1
    sw-a1 rp_filter 2 forwarding 1
    sw-b0 rp_filter 2 forwarding 1
    sw-b1 rp_filter 2 forwarding 1
    # addresses
    198.18.0.16/32 dev sw-a0
    fd5a:1::10/128 dev sw-a0
    198.18.0.16/32 dev sw-a1
    fd5a:1::10/128 dev sw-a1
    198.18.0.32/32 dev sw-b0
    fd5a:1::20/128 dev sw-b0
    198.18.0.32/32 dev sw-b1
    fd5a:1::20/128 dev sw-b1
    198.18.0.0/32 dev sw0
    fd5a:1::/128 dev sw0
    # peers
    sw-a0 peer AAEABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
      endpoint 192.0.2.17:51820
      persistent-keepalive 20
      allowed-ips 10.2.0.0/16, 198.18.0.112/32, 198.18.0.64/32, 198.18.0.80/32, 2001:db8:2::/48, fd5a:1:0:1::/128, fd5a:1:0:1::10/128, fd5a:1:0:1::30/128
    sw-b0 peer AAEAAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
      endpoint 192.0.2.17:51821
      persistent-keepalive 20
      allowed-ips 10.2.0.0/16, 198.18.0.112/32, 198.18.0.64/32, 198.18.0.96/32, 2001:db8:2::/48, fd5a:1:0:1::/128, fd5a:1:0:1::20/128, fd5a:1:0:1::30/128
    # nexthops
    id 518000100 dev sw-b0 (ipv4)
    id 518000140 group 518000100 type resilient buckets 32
    id 518000150 dev sw-b0 (ipv6)
    id 518000190 group 518000150 type resilient buckets 32
    # routes
    10.2.0.0/16 nhid 518000140 src 198.18.0.0 table 5180 metric 0
    198.18.0.112/32 nhid 518000100 src 198.18.0.0 table 5180 metric 0
    198.18.0.64/32 nhid 518000100 src 198.18.0.0 table 5180 metric 0
    198.18.0.80/32 dev sw-a0 src 198.18.0.16 table 5180 metric 0
    198.18.0.96/32 dev sw-b0 src 198.18.0.32 table 5180 metric 0
    2001:db8:2::/48 nhid 518000190 src fd5a:1:: table 5180 metric 1024
    fd5a:1:0:1::/128 nhid 518000150 src fd5a:1:: table 5180 metric 1024
    fd5a:1:0:1::10/128 dev sw-a0 src fd5a:1::10 table 5180 metric 1024
    fd5a:1:0:1::20/128 dev sw-b0 src fd5a:1::20 table 5180 metric 1024
    fd5a:1:0:1::30/128 nhid 518000150 src fd5a:1:: table 5180 metric 1024
    # rules
    # firewall"
  `);
});

test("a statement of another incarnation than the admitted one makes no peer", () => {
  const map = testMap({ clusters: [EU, US] });
  putStatement(map, US, { ordinal: 0, incarnation: 2n });
  const { peers } = flatten(compileOnce(map, testLocal(map, "eu")).desired);
  expect(peers.map(({ device }) => device)).toEqual(["sw-a1"]);
});

test("what a host should know is said as conditions", () => {
  const silent = { ...US, gateways: [{ ordinal: 0, silent: true }] };
  const quiet = { ...EU, prefixes: ["10.1.0.0/16"], gateways: [{ ordinal: 0, hosts: [] }] };
  const ipv6 = { id: "v6", block: 3, prefixes: ["2001:db8:3::/48"] };
  const beyond = { id: "beyond", block: 4096, prefixes: ["10.9.0.0/16"] };
  const map = testMap({ clusters: [quiet, silent, PLANT, ipv6, beyond], epoch: { active: 0n, opening: 1n } });
  map.unknownKeys = () => ["export.eu.shop.api"];
  const local = testLocal(map, "eu", 0, { localRoutes: ["198.18.7.0/24"] });
  const { desired } = compileOnce(map, { ...local, keys: local.keys.slice(0, 1) });
  expect(
    conditionsOf(desired)
      .map(({ type, message }) => `${type}: ${message}`)
      .join("\n"),
  ).toMatchInlineSnapshot(`
    "Ipv6NotCarried: cluster v6 announces 2001:db8:3::/48: IPv6 is not carried here, its packets are dropped
    NoGateway: no gateway of us has published a key for the epoch yet: there is nothing to send to
    NoOwnKey: gateway eu.0 holds no key for epoch 1: it has no lanes there
    NoPath: neither this gateway nor any of plant has an endpoint: give one an address, or name a transit cluster
    OverlayMeetsLocalRoute: the local prefix 198.18.7.0/24 meets 198.18.0.0/15, the mesh's own range: renumber one of them
    UnknownRecord: record export.eu.shop.api is of a type that this version does not know: kept and not obeyed; upgrade the agent
    UnusableRecord: admission of beyond: the overlay has no such block; the cluster is left out"
  `);
});

test("a gateway that is no longer admitted keeps its stable address and its guards, and no lane", () => {
  const map = testMap({ clusters: [EU, US] });
  const local = testLocal(map, "eu", 1);
  putCluster(map, { ...EU, gateways: [{ ordinal: 0 }] });
  expect(printDesired(compileOnce(map, local).desired)).toMatchInlineSnapshot(`
    "# devices
    sw0 dummy mtu 1420
    # addresses
    198.18.0.1/32 dev sw0
    # routes
    throw 10.1.0.0/16 table 5180 metric 0
    blackhole 10.2.0.0/16 table 5180 metric 4096
    blackhole 198.18.0.64/26 table 5180 metric 4096
    blackhole fd5a:1:0:1::/64 table 5180 metric 4096
    # rules
    5180: not from all fwmark 0x1000/0x1000 lookup 5180 (ipv4)
    5180: not from all fwmark 0x1000/0x1000 lookup 5180 (ipv6)
    # firewall
    guard by sw-* or mark 0x1000/0x1000 only:
      10.2.0.0/16
      198.18.0.64/26
      fd5a:1:0:1::/64
    mss at most 1380 (ipv4), 1360 (ipv6)
    # conditions
    NotAdmitted: gateway eu.1 is not admitted: it builds no tunnels; join again with a new token
    "
  `);
});

describe("what did not change", () => {
  test("is the same object, whatever was looked at", () => {
    const map = testMap({ clusters: [EU, US, PLANT] });
    const input = { view: map, local: testLocal(map, "eu"), liveness: new Map() };
    const compiler = createCompiler();
    const first = new Map(compiler.compile(input)?.desired.clusters);
    map.linkPolicy = testMap({ clusters: [] }).linkPolicy;
    const second = compiler.compile(input);
    expect(second?.changed).toEqual(new Set());
    expect(second?.baseChanged).toBe(false);
    for (const [id, fragment] of first) expect(second?.desired.clusters.get(id)).toBe(fragment);
  });

  test("is the same list within a fragment: an endpoint leaves routes and firewall alone", () => {
    const map = testMap({ clusters: [EU, US, PLANT] });
    const input = { view: map, local: testLocal(map, "eu"), liveness: new Map() };
    const compiler = createCompiler();
    const before = compiler.compile(input)?.desired.clusters.get("us");
    putStatement(map, US, { ordinal: 0, hosts: ["203.0.113.7"] });
    const after = compiler.compile(input, new Set(["us"]));
    expect(after?.changed).toEqual(new Set(["us"]));
    const { peers, ...rest } = after?.desired.clusters.get("us") ?? {};
    expect(peers).not.toBe(before?.peers);
    for (const [name, list] of Object.entries(rest)) expect(list, name).toBe(Reflect.get(before ?? {}, name));
  });

  test("is not taken for the same: a gateway that moves and drains leaves the group of its cluster", () => {
    const map = testMap({ clusters: [EU, US, PLANT] });
    const local = testLocal(map, "eu");
    const input = { view: map, local, liveness: new Map() };
    const compiler = createCompiler();
    const before = compiler.compile(input)?.desired.clusters.get("us");
    putStatement(map, US, { ordinal: 0, hosts: ["203.0.113.7"], draining: true });
    const after = compiler.compile(input, new Set(["us"]))?.desired;
    expect(after?.clusters.get("us")?.nexthops).not.toEqual(before?.nexthops);
    expect(after && flatten(after)).toEqual(flatten(compileOnce(map, local).desired));
  });
});

test("nothing is compiled from a map that lacks mesh, epoch or link policy", () => {
  const map = testMap({ clusters: [EU] });
  const local = testLocal(map, "eu");
  for (const lacking of ["mesh", "epoch", "linkPolicy"] as const) {
    const view = { ...map, [lacking]: undefined };
    expect(createCompiler().compile({ view, local, liveness: new Map() })).toBeUndefined();
  }
});

test("an opening epoch on the plane of the active one is not obeyed", () => {
  const map = testMap({ clusters: [EU, US], epoch: { active: 2n, opening: 4n } });
  const { links, peers } = flatten(compileOnce(map, testLocal(map, "eu")).desired);
  expect(links.map(({ name }) => name)).toEqual(["sw-a0", "sw-a1", "sw0"]);
  expect(peers.map(({ publicKey }) => atob(publicKey).charCodeAt(3))).toEqual([2, 2]);
});
