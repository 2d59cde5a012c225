import { create } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import type { Liveness, Pairs } from "@spanwire/core/desired/local-facts";
import { dropCluster, putCluster, type TestMap, testPublicKey } from "@spanwire/core/desired/testing";
import { EpochSchema, EpochState } from "@spanwire/proto/record";
import { expect, test } from "vitest";
import type { Change } from "../kernel/change.ts";
import { describeChange } from "../kernel/describe.ts";
import { FakeKernel } from "../kernel/fake/fake-kernel.ts";
import { Reconciler } from "./reconcile.ts";
import { EU, PLANT, testGateway, US } from "./testing.ts";

/** Walks one kernel of eu.0 through wishes, each with the two paths; every step again must change nothing. */
function walk() {
  const gateway = testGateway({ clusters: [EU, US] });
  const byLooking = new FakeKernel();
  const byChange = new FakeKernel();
  const [slow, quick] = [new Reconciler(byLooking), new Reconciler(byChange)];
  return async (edit: (map: TestMap) => void, liveness: Liveness = new Map(), pairs: Pairs = new Map()) => {
    edit(gateway.map);
    const { desired, changed } = gateway.compile({ liveness, pairs });
    const full = await slow.full(() => desired);
    const fast = (await quick.fast(desired, changed)) ?? (await quick.full(() => desired));
    expect([...full.failures, ...fast.failures]).toEqual([]);
    expect(print(fast.done).split("\n").sort()).toEqual(print(full.done).split("\n").sort());
    expect(byChange.toString()).toBe(byLooking.toString());

    const again = [await slow.full(() => desired), await quick.fast(desired, ["us", "plant"])];
    expect(again.map((outcome) => outcome?.done)).toEqual([[], []]);
    return `${fast.path}\n${print(full.done)}`;
  };
}

/** Public keys as "us.0@1": cluster, ordinal and epoch. */
function print(changes: readonly Change[]): string {
  const names = [EU, US, PLANT].flatMap(({ id, block }) =>
    [0, 1].flatMap((ordinal) =>
      [0n, 1n].map(
        (epoch) => [base64Encode(testPublicKey(block, ordinal, epoch)), `${id}.${ordinal}@${epoch}`] as const,
      ),
    ),
  );
  return changes
    .map(describeChange)
    .map((line) => names.reduce((text, [key, name]) => text.replaceAll(key, name), line))
    .map((line) => `${line}\n`)
    .join("");
}

function putEpoch(map: TestMap, active: bigint, opening?: bigint): void {
  map.epoch = create(EpochSchema, {
    state: opening === undefined ? EpochState.STEADY : EpochState.OPEN,
    active,
    ...(opening !== undefined && { opening }),
  });
  for (const cluster of [EU, US, PLANT]) if (map.admissions.has(cluster.id)) putCluster(map, cluster);
}

test("a gateway's life: each change alone, in the order in which it is made", async () => {
  const step = walk();

  expect(await step(() => {}), "first start").toMatchInlineSnapshot(`
    "full
    replace firewall: 3 remote prefixes, 8 forward rules, 0 translations
    replace route throw 10.1.0.0/16 table 5180
    replace route blackhole 10.2.0.0/16 table 5180 metric 4096
    replace route blackhole 198.18.0.64/26 table 5180 metric 4096
    replace route blackhole fd5a:1:0:1::/64 table 5180 metric 4096
    add rule 5180: not fwmark 0x1000/0x1000 lookup 5180 ipv4
    add rule 5180: not fwmark 0x1000/0x1000 lookup 5180 ipv6
    add dummy link sw0 mtu 1420
    add address 198.18.0.0/32 to sw0
    set link sw0 up
    add wireguard link sw-a0 mtu 1420
    set device sw-a0 private-key [secret] listen-port 51820 fwmark 0x1000
    set settings of sw-a0 rp_filter 2 forwarding 1
    add address 198.18.0.16/32 to sw-a0
    set link sw-a0 up
    add wireguard link sw-a1 mtu 1420
    set device sw-a1 private-key [secret] listen-port 51822 fwmark 0x1000
    set settings of sw-a1 rp_filter 2 forwarding 1
    add address 198.18.0.16/32 to sw-a1
    set link sw-a1 up
    add peer us.0@0 to sw-a0 endpoint 192.0.2.17:51820 keepalive 20 allowed-ips 10.2.0.0/16,198.18.0.112/32,198.18.0.64/32,198.18.0.80/32
    add peer us.1@0 to sw-a1 endpoint 192.0.2.18:51820 keepalive 20 allowed-ips 10.2.0.0/16,198.18.0.113/32,198.18.0.65/32,198.18.0.81/32
    replace nexthop id 518000100 dev sw-a0 ipv4
    replace nexthop id 518000101 dev sw-a1 ipv4
    replace nexthop id 518000140 group 518000100/518000101 type resilient buckets 32
    replace route 10.2.0.0/16 nhid 518000140 src 198.18.0.0 table 5180
    replace route 198.18.0.112/32 nhid 518000100 src 198.18.0.0 table 5180
    replace route 198.18.0.113/32 nhid 518000101 src 198.18.0.0 table 5180
    replace route 198.18.0.64/32 nhid 518000100 src 198.18.0.0 table 5180
    replace route 198.18.0.65/32 nhid 518000101 src 198.18.0.0 table 5180
    replace route 198.18.0.80/32 dev sw-a0 src 198.18.0.16 table 5180
    replace route 198.18.0.81/32 dev sw-a1 src 198.18.0.16 table 5180
    "
  `);

  expect(await step((map) => putCluster(map, PLANT)), "another cluster joins").toMatchInlineSnapshot(`
    "fast
    replace firewall: 7 remote prefixes, 20 forward rules, 0 translations
    replace route blackhole 10.3.0.0/24 table 5180 metric 4096
    replace route blackhole 10.4.0.0/24 table 5180 metric 4096
    replace route blackhole 198.18.0.128/26 table 5180 metric 4096
    replace route blackhole fd5a:1:0:2::/64 table 5180 metric 4096
    add peer plant.0@0 to sw-a0 endpoint 192.0.2.33:51820 keepalive 20 allowed-ips 10.3.0.0/24,10.4.0.0/24,198.18.0.128/32,198.18.0.144/32,198.18.0.176/32
    replace nexthop id 518000200 dev sw-a0 ipv4
    replace nexthop id 518000240 group 518000200 type resilient buckets 32
    replace route 10.3.0.0/24 nhid 518000240 src 198.18.0.0 table 5180
    replace route 10.4.0.0/24 nhid 518000240 src 198.18.0.0 table 5180
    replace route 198.18.0.128/32 nhid 518000200 src 198.18.0.0 table 5180
    replace route 198.18.0.144/32 dev sw-a0 src 198.18.0.16 table 5180
    replace route 198.18.0.176/32 nhid 518000200 src 198.18.0.0 table 5180
    "
  `);

  expect(
    await step((map) => {
      putCluster(map, { ...PLANT, prefixes: ["10.3.0.0/24"] });
      putCluster(map, { ...US, prefixes: ["10.2.0.0/16", "10.4.0.0/24"] });
    }),
    "a prefix changes hands",
  ).toMatchInlineSnapshot(`
    "fast
    replace firewall: 7 remote prefixes, 20 forward rules, 0 translations
    add allowed-ips 10.4.0.0/24 to peer us.0@0 of sw-a0
    add allowed-ips 10.4.0.0/24 to peer us.1@0 of sw-a1
    replace route 10.4.0.0/24 nhid 518000140 src 198.18.0.0 table 5180
    "
  `);

  expect(
    await step((map) => {
      putCluster(map, PLANT);
      putCluster(map, US);
    }),
    "and back",
  ).toMatchInlineSnapshot(`
    "fast
    replace firewall: 7 remote prefixes, 20 forward rules, 0 translations
    add allowed-ips 10.4.0.0/24 to peer plant.0@0 of sw-a0
    replace route 10.4.0.0/24 nhid 518000240 src 198.18.0.0 table 5180
    remove allowed-ips 10.4.0.0/24 from peer us.1@0 of sw-a1
    "
  `);

  expect(
    await step((map) => putCluster(map, { ...US, gateways: [{ ordinal: 0 }, { ordinal: 1, draining: true }] })),
    "a gateway drains",
  ).toMatchInlineSnapshot(`
    "fast
    replace nexthop id 518000140 group 518000100 type resilient buckets 32
    "
  `);

  expect(
    await step((map) => putCluster(map, US), new Map([["us.0", { down: true }]])),
    "it is back, and the other one is down",
  ).toMatchInlineSnapshot(`
    "fast
    replace nexthop id 518000140 group 518000101 type resilient buckets 32
    "
  `);

  expect(await step(() => {}), "both are up").toMatchInlineSnapshot(`
    "fast
    replace nexthop id 518000140 group 518000100/518000101 type resilient buckets 32
    "
  `);

  expect(await step((map) => putEpoch(map, 0n, 1n)), "an epoch opens").toMatchInlineSnapshot(`
    "full
    add wireguard link sw-b0 mtu 1420
    set device sw-b0 private-key [secret] listen-port 51821 fwmark 0x1000
    set settings of sw-b0 rp_filter 2 forwarding 1
    add address 198.18.0.32/32 to sw-b0
    set link sw-b0 up
    add wireguard link sw-b1 mtu 1420
    set device sw-b1 private-key [secret] listen-port 51823 fwmark 0x1000
    set settings of sw-b1 rp_filter 2 forwarding 1
    add address 198.18.0.32/32 to sw-b1
    set link sw-b1 up
    add peer us.0@1 to sw-b0 endpoint 192.0.2.17:51821 keepalive 20 allowed-ips 10.2.0.0/16,198.18.0.112/32,198.18.0.64/32,198.18.0.96/32
    add peer plant.0@1 to sw-b0 endpoint 192.0.2.33:51821 keepalive 20 allowed-ips 10.3.0.0/24,10.4.0.0/24,198.18.0.128/32,198.18.0.160/32,198.18.0.176/32
    add peer us.1@1 to sw-b1 endpoint 192.0.2.18:51821 keepalive 20 allowed-ips 10.2.0.0/16,198.18.0.113/32,198.18.0.65/32,198.18.0.97/32
    replace route 198.18.0.160/32 dev sw-b0 src 198.18.0.32 table 5180
    replace route 198.18.0.96/32 dev sw-b0 src 198.18.0.32 table 5180
    replace route 198.18.0.97/32 dev sw-b1 src 198.18.0.32 table 5180
    "
  `);

  const onB = { build: [0n, 1n], sendOn: 1n };
  const flipped = new Map(["us.0", "us.1", "plant.0"].map((id) => [id, onB]));
  expect(await step(() => {}, new Map(), new Map([["us.0", onB]])), "one gateway's plane flips").toMatchInlineSnapshot(`
    "fast
    replace nexthop id 518000100 dev sw-b0 ipv4
    "
  `);
  expect(await step(() => {}, new Map(), flipped), "the others' too").toMatchInlineSnapshot(`
    "fast
    replace nexthop id 518000101 dev sw-b1 ipv4
    replace nexthop id 518000200 dev sw-b0 ipv4
    "
  `);

  expect(await step((map) => putEpoch(map, 1n), new Map(), flipped), "the epoch closes").toMatchInlineSnapshot(`
    "full
    remove route 198.18.0.144/32 dev sw-a0 src 198.18.0.16 table 5180
    remove route 198.18.0.80/32 dev sw-a0 src 198.18.0.16 table 5180
    remove route 198.18.0.81/32 dev sw-a1 src 198.18.0.16 table 5180
    remove link sw-a0
    remove link sw-a1
    "
  `);

  expect(
    await step(
      (map) => {
        putCluster(map, { ...US, gateways: [{ ordinal: 0, hosts: [] }, { ordinal: 1 }] });
      },
      new Map(),
      flipped,
    ),
    "a gateway has no endpoint any more: nothing to write, its present one stays",
  ).toMatchInlineSnapshot(`
    "fast
    "
  `);

  expect(await step((map) => dropCluster(map, "us")), "a cluster is revoked").toMatchInlineSnapshot(`
    "fast
    remove route 10.2.0.0/16 nhid 518000140 src 198.18.0.0 table 5180
    remove route 198.18.0.112/32 nhid 518000100 src 198.18.0.0 table 5180
    remove route 198.18.0.113/32 nhid 518000101 src 198.18.0.0 table 5180
    remove route 198.18.0.64/32 nhid 518000100 src 198.18.0.0 table 5180
    remove route 198.18.0.65/32 nhid 518000101 src 198.18.0.0 table 5180
    remove route 198.18.0.96/32 dev sw-b0 src 198.18.0.32 table 5180
    remove route 198.18.0.97/32 dev sw-b1 src 198.18.0.32 table 5180
    remove nexthop id 518000140
    remove nexthop id 518000100
    remove nexthop id 518000101
    remove peer us.0@1 from sw-b0
    remove peer us.1@1 from sw-b1
    remove route blackhole 10.2.0.0/16 table 5180 metric 4096
    remove route blackhole 198.18.0.64/26 table 5180 metric 4096
    remove route blackhole fd5a:1:0:1::/64 table 5180 metric 4096
    replace firewall: 4 remote prefixes, 12 forward rules, 0 translations
    "
  `);
  expect(await step((map) => dropCluster(map, "eu")), "we are revoked: the guard and sw0 stay").toMatchInlineSnapshot(`
    "full
    replace firewall: 4 remote prefixes, 0 forward rules, 0 translations
    remove route 10.3.0.0/24 nhid 518000240 src 198.18.0.0 table 5180
    remove route 10.4.0.0/24 nhid 518000240 src 198.18.0.0 table 5180
    remove route 198.18.0.128/32 nhid 518000200 src 198.18.0.0 table 5180
    remove route 198.18.0.160/32 dev sw-b0 src 198.18.0.32 table 5180
    remove route 198.18.0.176/32 nhid 518000200 src 198.18.0.0 table 5180
    remove nexthop id 518000240
    remove nexthop id 518000200
    remove link sw-b0
    remove link sw-b1
    remove route throw 10.1.0.0/16 table 5180
    "
  `);
});
