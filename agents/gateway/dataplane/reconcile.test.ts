import { dropCluster, putCluster } from "@spanwire/core/desired/testing";
import { expect, test } from "vitest";
import type { Change } from "../kernel/change.ts";
import { describeChange } from "../kernel/describe.ts";
import { FakeKernel } from "../kernel/fake/fake-kernel.ts";
import { hostConditions } from "./conditions.ts";
import { observePeers } from "./observe.ts";
import { type FullOutcome, Reconciler } from "./reconcile.ts";
import { EU, PLANT, testGateway, US, wishOf } from "./testing.ts";

const MESH = { clusters: [EU, US] };

const conditionsOf = (outcome: FullOutcome) =>
  hostConditions({ ...outcome, foreignDrop: undefined, sysctls: [] }).map(({ type, message }) => `${type}: ${message}`);

test("an agent that starts again adopts what is there: not one write", async () => {
  const kernel = new FakeKernel();
  await new Reconciler(kernel).full(() => wishOf(MESH));
  kernel.touchPeer("sw-a0", "AAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", {
    endpoint: "203.0.113.77:40001",
    lastHandshakeMs: 1,
    rxBytes: 1,
    txBytes: 1,
  });
  const before = kernel.toString();
  kernel.writes = 0;

  const outcome = await new Reconciler(kernel).full(() => wishOf(MESH));
  expect(outcome).toMatchObject({ done: [], failures: [], repaired: false });
  expect(kernel.writes).toBe(0);
  expect(kernel.toString()).toBe(before);
});

test("objects of others are not touched", async () => {
  const kernel = new FakeKernel();
  const nexthop = { kind: "device", id: 7, family: "ipv4", device: "eth0" } as const;
  const rule = { family: "ipv4", priority: 5180, notFwmark: { mark: 1, mask: 1 }, table: 100 } as const;
  const route = { table: 100, destination: "10.2.0.0/16", metric: 0, target: { kind: "blackhole" } } as const;
  kernel.byHand({ kind: "add-wireguard-link", name: "wg0", mtuBytes: 1420 });
  kernel.byHand({ kind: "add-dummy-link", name: "eth0", mtuBytes: 1500 });
  kernel.byHand({ kind: "set-link", name: "eth0", up: true });
  kernel.byHand({ kind: "add-address", address: { device: "eth0", address: "192.0.2.1/24" } });
  kernel.byHand({ kind: "replace-nexthop", nexthop });
  kernel.byHand({ kind: "replace-route", route });
  kernel.byHand({ kind: "add-rule", rule });
  const theirs = kernel.toString().split("\n");
  const reconciler = new Reconciler(kernel);
  for (const mesh of [MESH, { clusters: [EU] }, MESH, { clusters: [] }]) {
    const { failures } = await reconciler.full(() => wishOf(mesh));
    expect(failures).toEqual([]);
    expect(kernel.toString().split("\n")).toEqual(expect.arrayContaining(theirs));
  }
});

test("what changed in the map while the agent was away is all that is written when it starts", async () => {
  const kernel = new FakeKernel();
  await new Reconciler(kernel).full(() => wishOf(MESH));
  const { done } = await new Reconciler(kernel).full(() => wishOf({ clusters: [EU, { ...US, prefixes: [] }] }));
  expect(done.map(describeChange)).toEqual([
    "replace firewall: 2 remote prefixes, 4 forward rules, 0 translations",
    "remove route 10.2.0.0/16 nhid 518000140 src 198.18.0.0 table 5180",
    "remove allowed-ips 10.2.0.0/16 from peer AAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= of sw-a0",
    "remove allowed-ips 10.2.0.0/16 from peer AAEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= of sw-a1",
    "remove route blackhole 10.2.0.0/16 table 5180 metric 4096",
  ]);
});

test("without a former full look, or with another base, there is no fast path", async () => {
  const gateway = testGateway(MESH);
  const reconciler = new Reconciler(new FakeKernel());
  const first = gateway.compile();
  expect(await reconciler.fast(first.desired, first.changed)).toBeUndefined();
  await reconciler.full(() => first.desired);
  expect(await reconciler.fast(first.desired, first.changed)).toMatchObject({ done: [], failures: [] });
  const other = gateway.compile({ facts: { basePort: 4_000 } });
  expect(await reconciler.fast(other.desired, other.changed)).toBeUndefined();
  await reconciler.full(() => other.desired);
  const bigger = gateway.compile({ facts: { basePort: 4_000, resilientBuckets: 128 } });
  expect(await reconciler.fast(bigger.desired, bigger.changed)).toBeUndefined();
});

test("the fast path does not look at what it does not change, and the full one then mends it", async () => {
  const gateway = testGateway(MESH);
  const kernel = new FakeKernel();
  const reconciler = new Reconciler(kernel);
  const { desired } = gateway.compile();
  await reconciler.full(() => desired);
  kernel.byHand({ kind: "remove-wireguard-link", name: "sw-a1" });
  putCluster(gateway.map, PLANT);
  const joined = gateway.compile();
  const fast = await reconciler.fast(joined.desired, joined.changed);
  expect(fast?.failures).toEqual([]);
  const full = await reconciler.full(() => joined.desired);
  expect(full.repaired).toBe(true);
  expect(full.done.map(describeChange)).toContain("add wireguard link sw-a1 mtu 1420");
});

test("after a fast path that failed nothing is taken for granted", async () => {
  const gateway = testGateway(MESH);
  const kernel = new FakeKernel();
  const reconciler = new Reconciler(kernel);
  await reconciler.full(() => gateway.compile().desired);
  putCluster(gateway.map, PLANT);
  const { desired, changed } = gateway.compile();
  kernel.refuse = ({ kind }) => (kind === "replace-nexthop" ? "Out of memory" : undefined);
  expect((await reconciler.fast(desired, changed))?.failures).not.toEqual([]);
  kernel.refuse = () => undefined;
  expect(await reconciler.fast(desired, [])).toBeUndefined();
  expect(await reconciler.full(() => desired)).toMatchObject({ failures: [], repaired: false });
});

test("an abort stops between two changes; the next start goes on from there", async () => {
  const kernel = new FakeKernel();
  const controller = new AbortController();
  kernel.refuse = ({ kind }) => {
    if (kind === "add-wireguard-link") controller.abort();
    return undefined;
  };
  const cut = await new Reconciler(kernel).full(() => wishOf(MESH), controller.signal);
  expect(cut.done.map(describeChange).at(-1)).toBe("add wireguard link sw-a0 mtu 1420");
  await new Reconciler(kernel).full(() => wishOf(MESH));
  const whole = new FakeKernel();
  await new Reconciler(whole).full(() => wishOf(MESH));
  expect(kernel.toString()).toBe(whole.toString());
});

test("another program's device on a lane's name: that lane is left out, the others carry the traffic, and it is said", async () => {
  const kernel = new FakeKernel();
  kernel.byHand({ kind: "add-dummy-link", name: "sw-a0", mtuBytes: 9000 });
  const reconciler = new Reconciler(kernel);
  const outcome = await reconciler.full(() => wishOf(MESH));
  expect(outcome.failures).toEqual([]);
  expect(conditionsOf(outcome)).toEqual([
    "DeviceTaken: sw-a0 is another program's device: rename or remove it, or Spanwire does without this one",
  ]);
  expect(kernel.toString()).toContain("link sw-a0 dummy mtu 9000 down\n  rp_filter 0");
  expect(kernel.toString()).toContain("nexthop id 518000140 group 518000101 ");
  kernel.writes = 0;
  await reconciler.full(() => wishOf(MESH));
  expect(kernel.writes).toBe(0);

  kernel.byHand({ kind: "remove-link", name: "sw-a0" });
  expect(conditionsOf(await reconciler.full(() => wishOf(MESH)))).toEqual([]);
  expect(kernel.toString()).toContain("nexthop id 518000140 group 518000100/518000101 ");
});

test("another program's device on the stable address's name: guarded, not routed, and said", async () => {
  const kernel = new FakeKernel();
  kernel.byHand({ kind: "add-wireguard-link", name: "sw0", mtuBytes: 1420 });
  const outcome = await new Reconciler(kernel).full(() => wishOf(MESH));
  expect(outcome.failures).toEqual([]);
  expect(conditionsOf(outcome)).toEqual([expect.stringContaining("DeviceTaken: sw0")]);
  expect(kernel.toString()).not.toContain("nhid");
  expect(kernel.toString()).toContain("route blackhole 10.2.0.0/16");
});

test("where the firewall cannot be written nothing is opened, what is open stays, and it is said", async () => {
  const kernel = new FakeKernel();
  const reconciler = new Reconciler(kernel);
  const isFirewall = ({ kind }: Change) => kind === "replace-firewall";
  kernel.refuse = (change) => (isFirewall(change) ? "nft is not installed" : undefined);
  const first = await reconciler.full(() => wishOf(MESH));
  expect(kernel.toString()).not.toContain("peer ");
  expect(kernel.toString()).toContain("route blackhole 10.2.0.0/16");
  expect(conditionsOf(first)).toEqual([
    expect.stringContaining(
      "GuardMissing: no further peer is let in, and blackhole routes alone keep packets from leaving in clear",
    ),
    expect.stringMatching(
      /^KernelRefused: add peer .* held back, because the firewall could not be written; and 1 more/,
    ),
  ]);

  kernel.refuse = () => undefined;
  await reconciler.full(() => wishOf(MESH));
  const open = kernel.toString();
  expect(open).toContain("allowed-ips 10.2.0.0/16");
  kernel.refuse = (change) => (isFirewall(change) ? "nft is gone" : undefined);
  kernel.byHand({ kind: "remove-firewall" });
  await reconciler.full(() => wishOf(MESH));
  expect(open).toContain(kernel.toString());
});

test("a lane whose port another program has: the others carry the traffic, and it is tried again", async () => {
  const kernel = new FakeKernel();
  const isTaken = (change: Change) => change.kind === "set-link" && change.name === "sw-a1" && change.up === true;
  kernel.refuse = (change) => (isTaken(change) ? "Address already in use" : undefined);
  const reconciler = new Reconciler(kernel);
  const outcome = await reconciler.full(() => wishOf(MESH));
  expect(conditionsOf(outcome)).toEqual([
    "DeviceMissing: sw-a1 is down and cannot be brought up: what it carries takes another lane or is held back",
    "KernelRefused: set link sw-a1 up: Address already in use (EINVAL)",
  ]);
  expect(kernel.toString()).toContain("nexthop id 518000140 group 518000100 ");
  expect(kernel.toString()).toContain("route 10.2.0.0/16 nhid 518000140");

  kernel.refuse = () => undefined;
  expect(conditionsOf(await reconciler.full(() => wishOf(MESH)))).toEqual([]);
  expect(kernel.toString()).toContain("nexthop id 518000140 group 518000100/518000101 ");
});

test("a lane that moves to a port which another lane has still: both arrive", async () => {
  const kernel = new FakeKernel();
  await new Reconciler(kernel).full(() => wishOf(MESH));
  const ports = new Map([
    ["sw-a0", 51820],
    ["sw-a1", 51822],
  ]);
  kernel.refuse = (change) => {
    if (change.kind !== "set-wireguard-device" || change.listenPort === undefined) return undefined;
    if ([...ports.values()].includes(change.listenPort)) return "Address already in use";
    ports.set(change.device, change.listenPort);
    return undefined;
  };
  const { failures } = await new Reconciler(kernel).full(() => wishOf(MESH, { basePort: 51822 }));
  expect(failures).toEqual([]);
  expect(Object.fromEntries(ports)).toEqual({ "sw-a0": 51822, "sw-a1": 51824 });
});

test("a revoked peer is shown to be gone by a dump made afterwards", async () => {
  const gateway = testGateway(MESH);
  const kernel = new FakeKernel();
  const reconciler = new Reconciler(kernel);
  await reconciler.full(() => gateway.compile().desired);
  const keys = [
    "AAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "AAEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "never seen",
  ];
  expect(await observePeers(kernel, keys)).toEqual(new Set(keys.slice(0, 2)));
  dropCluster(gateway.map, "us");
  const { desired, changed } = gateway.compile();
  await reconciler.fast(desired, changed);
  expect(await observePeers(kernel, keys)).toEqual(new Set());
});
