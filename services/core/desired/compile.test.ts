import { DefaultLinks, Direction, Protocol } from "@spanwire/proto/record";
import { describe, expect, test } from "vitest";
import { createCompiler } from "./compile.ts";
import { conditionsOf, flatten } from "./desired.ts";
import { printDesired } from "./print.ts";
import { compileOnce, putCluster, putStatement, type TestMesh, testLocal, testMap } from "./testing.ts";

const EU = { id: "eu", block: 0, prefixes: ["10.1.0.0/16"], gateways: [{ ordinal: 0 }, { ordinal: 1 }] };
const US = { id: "us", block: 1, prefixes: ["10.2.0.0/16"], gateways: [{ ordinal: 0 }, { ordinal: 1 }] };
const PLANT = { id: "plant", block: 2, prefixes: ["10.3.0.0/24"], gateways: [{ ordinal: 0, hosts: [] }] };

/** The lines of a plan that begin with one of `starts`, indented ones included with theirs. */
function linesOf(text: string, ...starts: readonly string[]): string {
  const blocks = text.split(/\n(?! )/);
  return blocks.filter((block) => starts.some((start) => block.startsWith(start))).join("\n");
}

function planOf(mesh: TestMesh, id: string, facts: Parameters<typeof testLocal>[3] = {}): string {
  const map = testMap(mesh);
  return printDesired(compileOnce(map, testLocal(map, id, 0, facts)).desired);
}

test("two clusters of two gateways: what gateway eu.0 holds", () => {
  const facts = { connected: ["10.1.0.0/24", "192.0.2.0/24"], control: ["203.0.113.9"] };
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

describe("a pair that goes through another cluster", () => {
  const policy = {
    defaultLinks: DefaultLinks.FULL_MESH,
    links: [{ name: "relay", left: { clusters: ["plant"] }, right: { clusters: ["us"] }, transit: "eu" }],
  };
  const mesh = { clusters: [EU, US, PLANT], policy };

  test("has its prefixes among the AllowedIPs and behind the group of the one that carries it", () => {
    expect(
      linesOf(planOf(mesh, "us"), "sw-a0 peer", "10.3", "blackhole 10.3", "198.18.0.128", "allow plant"),
    ).toMatchInlineSnapshot(`
      "sw-a0 peer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
        endpoint 192.0.2.1:51820
        persistent-keepalive 20
        allowed-ips 10.1.0.0/16, 10.3.0.0/24, 198.18.0.0/32, 198.18.0.128/28, 198.18.0.16/32, 198.18.0.176/28, 198.18.0.48/32
      10.3.0.0/24 nhid 518000040 src 198.18.0.64 table 5180 metric 0
      blackhole 10.3.0.0/24 table 5180 metric 4096
      198.18.0.128/28 nhid 518000040 src 198.18.0.64 table 5180 metric 0
      allow plant~us in 10.3.0.0/24 -> 10.2.0.0/16 any
      allow plant~us in 10.3.0.0/24 -> 198.18.0.64/26 any
      allow plant~us in 198.18.0.128/26 -> 10.2.0.0/16 any
      allow plant~us in 198.18.0.128/26 -> 198.18.0.64/26 any
      allow plant~us out 10.2.0.0/16 -> 10.3.0.0/24 any
      allow plant~us out 10.2.0.0/16 -> 198.18.0.128/26 any
      allow plant~us out 198.18.0.64/26 -> 10.3.0.0/24 any
      allow plant~us out 198.18.0.64/26 -> 198.18.0.128/26 any"
    `);
  });

  test("may pass from lane to lane at the one that carries it", () => {
    expect(linesOf(planOf(mesh, "eu"), "allow plant~us")).toMatchInlineSnapshot(`
      "allow plant~us through 10.2.0.0/16 -> 10.3.0.0/24 any
      allow plant~us through 10.2.0.0/16 -> 198.18.0.128/26 any
      allow plant~us through 10.3.0.0/24 -> 10.2.0.0/16 any
      allow plant~us through 10.3.0.0/24 -> 198.18.0.64/26 any
      allow plant~us through 198.18.0.128/26 -> 10.2.0.0/16 any
      allow plant~us through 198.18.0.128/26 -> 198.18.0.64/26 any
      allow plant~us through 198.18.0.64/26 -> 10.3.0.0/24 any
      allow plant~us through 198.18.0.64/26 -> 198.18.0.128/26 any"
    `);
  });

  test.each([
    { why: "eu is not admitted", clusters: [US, PLANT] },
    { why: "there is no tunnel to eu yet", clusters: [{ ...EU, gateways: [{ ordinal: 0, silent: true }] }, US, PLANT] },
  ])("has no route while $why", ({ clusters, why }) => {
    const plan = planOf({ clusters, policy }, "us");
    expect(linesOf(plan, "10.3", "blackhole 10.3", "TransitUnavailable")).toBe(
      `blackhole 10.3.0.0/24 table 5180 metric 4096\nTransitUnavailable: plant is to be reached through eu: ${why}`,
    );
  });

  test("gets its routes with the first statement of the one that carries it, and loses them with the last", () => {
    const eu = { ...EU, gateways: [{ ordinal: 0, silent: true }] };
    const map = testMap({ clusters: [eu, US, PLANT], policy });
    const input = { view: map, local: testLocal(map, "us"), liveness: new Map() };
    const compiler = createCompiler();
    const isRouted = () => {
      const routes = compiler.compile(input, new Set(["eu"]))?.desired.clusters.get("plant")?.routes ?? [];
      return routes.some(({ target }) => target.kind === "nexthop");
    };
    expect(isRouted()).toBe(false);
    putStatement(map, eu, { ordinal: 0 });
    expect(isRouted()).toBe(true);
    map.statements.clear();
    expect(isRouted()).toBe(false);
  });

  test("has no route while that one is not linked to both", () => {
    const links = [
      ...policy.links,
      { name: "cut", left: { clusters: ["eu"] }, right: { clusters: ["plant"] }, deny: true },
    ];
    const plan = planOf({ ...mesh, policy: { ...policy, links } }, "us");
    expect(linesOf(plan, "10.3", "TransitUnavailable")).toMatchInlineSnapshot(
      `"TransitUnavailable: plant is to be reached through eu: eu is not linked directly to plant"`,
    );
  });
});

describe("the link policy", () => {
  test("names what may cross, clipped to what is admitted", () => {
    const allow = [
      {
        direction: Direction.LEFT_TO_RIGHT,
        protocol: Protocol.TCP,
        sources: ["10.1.4.0/22", "10.9.0.0/16"],
        destinations: ["10.0.0.0/8"],
        ports: [
          { first: 443, last: 443 },
          { first: 8000, last: 8080 },
        ],
      },
      { direction: Direction.BOTH, protocol: Protocol.ICMP },
    ];
    const links = [{ name: "web", left: { clusters: ["eu"] }, right: { clusters: ["us"] }, allow }];
    const mesh = { clusters: [EU, US], policy: { defaultLinks: DefaultLinks.NONE, links } };
    expect(linesOf(planOf(mesh, "eu"), "allow")).toMatchInlineSnapshot(`
      "allow eu~us in 10.2.0.0/16 -> 10.1.0.0/16 icmp
      allow eu~us in 10.2.0.0/16 -> 198.18.0.0/26 icmp
      allow eu~us in 198.18.0.64/26 -> 10.1.0.0/16 icmp
      allow eu~us in 198.18.0.64/26 -> 198.18.0.0/26 icmp
      allow eu~us out 10.1.0.0/16 -> 10.2.0.0/16 icmp
      allow eu~us out 10.1.0.0/16 -> 198.18.0.64/26 icmp
      allow eu~us out 10.1.4.0/22 -> 10.2.0.0/16 tcp 443,8000-8080
      allow eu~us out 198.18.0.0/26 -> 10.2.0.0/16 icmp
      allow eu~us out 198.18.0.0/26 -> 198.18.0.64/26 icmp"
    `);
    expect(linesOf(planOf(mesh, "us"), "allow eu~us in 10.1.4")).toMatchInlineSnapshot(
      `"allow eu~us in 10.1.4.0/22 -> 10.2.0.0/16 tcp 443,8000-8080"`,
    );
  });

  test("leaves a cluster that is not linked without peers and routes, and still guards against it", () => {
    const plan = planOf({ clusters: [EU, US], policy: { defaultLinks: DefaultLinks.NONE } }, "eu");
    expect(
      linesOf(plan, "sw-a0 peer", "id", "10.2", "198.18.0.6", "198.18.0.8", "blackhole", "guard", "allow"),
    ).toMatchInlineSnapshot(`
      "blackhole 10.2.0.0/16 table 5180 metric 4096
      blackhole 198.18.0.64/26 table 5180 metric 4096
      blackhole fd5a:1:0:1::/64 table 5180 metric 4096
      guard by sw-* or mark 0x1000/0x1000 only:
        10.2.0.0/16
        198.18.0.64/26
        fd5a:1:0:1::/64"
    `);
  });
});

describe("a group of next hops", () => {
  test.each([
    { name: "all that serve", gateways: [{ ordinal: 0 }, { ordinal: 1 }], down: [], want: [100, 101] },
    { name: "not one that drains", gateways: [{ ordinal: 0, draining: true }, { ordinal: 1 }], down: [], want: [101] },
    {
      name: "those that drain when none serves",
      gateways: [
        { ordinal: 0, draining: true },
        { ordinal: 1, draining: true },
      ],
      down: [],
      want: [100, 101],
    },
    { name: "not one that is down", gateways: [{ ordinal: 0 }, { ordinal: 1 }], down: ["us.0"], want: [101] },
    {
      name: "one that drains rather than one that is down",
      gateways: [{ ordinal: 0 }, { ordinal: 1, draining: true }],
      down: ["us.0"],
      want: [101],
    },
    {
      name: "all when all are down",
      gateways: [{ ordinal: 0 }, { ordinal: 1 }],
      down: ["us.0", "us.1"],
      want: [100, 101],
    },
    {
      name: "not one that has said nothing",
      gateways: [{ ordinal: 0 }, { ordinal: 1, silent: true }],
      down: [],
      want: [100],
    },
  ])("holds $name", ({ gateways, down, want }) => {
    const map = testMap({ clusters: [EU, { ...US, gateways }] });
    const liveness = new Map(down.map((id) => [id, { down: true }]));
    const { nexthops } = flatten(compileOnce(map, testLocal(map, "eu"), liveness).desired);
    const group = nexthops.find(({ kind }) => kind === "group");
    expect(group?.kind === "group" && group.members.map(({ id }) => id - 518_000_000)).toEqual(want);
  });

  test("leaves out a gateway that neither side can dial, when another can be", () => {
    const quiet = { ...EU, gateways: [{ ordinal: 0, hosts: [] }] };
    const gateways = [{ ordinal: 0, hosts: [] }, { ordinal: 1 }];
    expect(
      linesOf(planOf({ clusters: [quiet, { ...US, gateways }] }, "eu"), "id 518000140", "NoPath"),
    ).toMatchInlineSnapshot(`"id 518000140 group 518000101 type resilient buckets 32"`);
  });
});

test("the plane that liveness asks for carries, if the remote has a key there", () => {
  const map = testMap({ clusters: [EU, US], epoch: { active: 0n, opening: 1n } });
  const liveness = new Map([["us.0", { down: false, plane: "b" as const }]]);
  const { nexthops } = flatten(compileOnce(map, testLocal(map, "eu"), liveness).desired);
  expect(nexthops).toContainEqual({ kind: "device", id: 518_000_100, family: "ipv4", device: "sw-b0" });
  expect(nexthops).toContainEqual({ kind: "device", id: 518_000_101, family: "ipv4", device: "sw-a1" });
});

test("a statement of another incarnation than the admitted one makes no peer", () => {
  const map = testMap({ clusters: [EU, US] });
  putStatement(map, US, { ordinal: 0, incarnation: 2n });
  const { peers } = flatten(compileOnce(map, testLocal(map, "eu")).desired);
  expect(peers.map(({ device }) => device)).toEqual(["sw-a1"]);
});

describe("endpoints", () => {
  test.each([
    { name: "an address inside the overlay", hosts: ["198.18.0.64", "192.0.2.1"], want: ["192.0.2.1:51820"] },
    { name: "an address inside its own prefixes", hosts: ["10.2.0.5", "192.0.2.1"], want: ["192.0.2.1:51820"] },
    { name: "an address inside our prefixes", hosts: ["10.1.0.5", "192.0.2.1"], want: ["192.0.2.1:51820"] },
    { name: "what is neither an address nor a name", hosts: ["10.1", "gw.example"], want: ["gw.example:51820"] },
  ])("leave out $name", ({ hosts, want }) => {
    const map = testMap({ clusters: [EU, { ...US, gateways: [{ ordinal: 0, hosts }] }] });
    const { peers } = flatten(compileOnce(map, testLocal(map, "eu")).desired);
    expect(peers.map(({ endpoints }) => endpoints)).toEqual([want]);
  });

  test("are the lane of our ordinal, on each plane", () => {
    const map = testMap({ clusters: [EU, US], epoch: { active: 0n, opening: 1n } });
    const { peers } = flatten(compileOnce(map, testLocal(map, "eu", 1)).desired);
    expect(peers.map(({ device, endpoints }) => [device, ...endpoints])).toEqual([
      ["sw-a0", "192.0.2.17:51822"],
      ["sw-a1", "192.0.2.18:51822"],
      ["sw-b0", "192.0.2.17:51823"],
      ["sw-b1", "192.0.2.18:51823"],
    ]);
  });
});

describe("a remote prefix over a local network", () => {
  test.each([
    {
      name: "a smaller one stays local",
      connected: "10.2.1.0/24",
      routed: true,
      remote: ["10.2.0.0/24", "10.2.2.0/23", "198.18.0.64/26", "fd5a:1:0:1::/64"],
      says: "10.2.0.0/22 of cluster us meets the local 10.2.1.0/24: 10.2.1.0/24 stays local; renumber one of them",
    },
    {
      name: "an equal one stays local",
      connected: "10.2.0.0/22",
      routed: false,
      remote: ["198.18.0.64/26", "fd5a:1:0:1::/64"],
      says: "10.2.0.0/22 of cluster us meets the local 10.2.0.0/22: 10.2.0.0/22 stays local; renumber one of them",
    },
    {
      name: "a larger one loses what the remote announces",
      connected: "10.0.0.0/8",
      routed: true,
      remote: ["10.2.0.0/22", "198.18.0.64/26", "fd5a:1:0:1::/64"],
      says: "10.2.0.0/22 of cluster us meets the local 10.0.0.0/8: 10.2.0.0/22 goes to us; renumber one of them",
    },
  ])("$name", ({ connected, routed, remote, says }) => {
    const map = testMap({ clusters: [EU, { ...US, prefixes: ["10.2.0.0/22"] }] });
    const { desired } = compileOnce(map, testLocal(map, "eu", 0, { connected: [connected] }));
    const { routes, firewall } = flatten(desired);
    const targets = routes.filter(({ destination }) => destination === "10.2.0.0/22").map(({ target }) => target.kind);
    expect(targets.includes("nexthop")).toBe(routed);
    expect(targets).toContain("blackhole");
    expect(routes).toContainEqual({ table: 5180, destination: connected, metric: 0, target: { kind: "throw" } });
    expect(firewall?.remote.filter((prefix) => !prefix.startsWith("10.1."))).toEqual(remote);
    expect(conditionsOf(desired).map(({ message }) => message)).toEqual([says]);
  });
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

test("hosts that ask for it are translated to the stable address, and may open connections", () => {
  const plan = planOf({ clusters: [EU, US] }, "eu", { snat: ["192.168.7.0/24"] });
  expect(linesOf(plan, "snat", "allow eu~us out 192", "allow eu~us in")).toMatchInlineSnapshot(`
    "allow eu~us in 10.2.0.0/16 -> 10.1.0.0/16 any
    allow eu~us in 10.2.0.0/16 -> 198.18.0.0/26 any
    allow eu~us in 198.18.0.64/26 -> 10.1.0.0/16 any
    allow eu~us in 198.18.0.64/26 -> 198.18.0.0/26 any
    allow eu~us out 192.168.7.0/24 -> 10.2.0.0/16 any
    allow eu~us out 192.168.7.0/24 -> 198.18.0.64/26 any
    snat 192.168.7.0/24 -> 10.2.0.0/16 to 198.18.0.0
    snat 192.168.7.0/24 -> 198.18.0.64/26 to 198.18.0.0"
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
});

test("nothing is compiled from a map that lacks mesh, epoch or link policy", () => {
  const map = testMap({ clusters: [EU] });
  const local = testLocal(map, "eu");
  for (const lacking of ["mesh", "epoch", "linkPolicy"] as const) {
    const view = { ...map, [lacking]: undefined };
    expect(createCompiler().compile({ view, local, liveness: new Map() })).toBeUndefined();
  }
});
