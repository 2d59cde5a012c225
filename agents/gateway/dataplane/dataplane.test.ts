import { putCluster } from "@spanwire/core/desired/testing";
import { SpanwireError } from "@spanwire/core/errors";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { expect, test } from "vitest";
import { describeChange } from "../kernel/describe.ts";
import { FakeKernel } from "../kernel/fake/fake-kernel.ts";
import { Dataplane, type DataplaneOptions, type Reported } from "./dataplane.ts";
import { EU, PLANT, testGateway, US } from "./testing.ts";

/** A running data plane that has reached its first wish, and whose echoes have died away. */
async function start({
  kernel = new FakeKernel(),
  ...options
}: Partial<Omit<DataplaneOptions, "kernel">> & { kernel?: FakeKernel } = {}) {
  const clock = new FakeClock(1_000_000);
  const gateway = testGateway({ clusters: [EU, US] });
  const controller = new AbortController();
  const outcomes: Reported[] = [];
  const failures: unknown[] = [];
  const dataplane = new Dataplane({
    kernel,
    clock,
    random: () => 0.5,
    resolve: async () => [],
    onOutcome: (outcome) => outcomes.push(outcome),
    onFailure: (error) => failures.push(error),
    signal: controller.signal,
    ...options,
  });
  const done = dataplane.run();
  await clock.advance(0);
  const atRest = { before: kernel.toString(), reached: "" };
  dataplane.want(gateway.compile());
  await clock.advance(1_000);
  atRest.reached = kernel.toString();
  outcomes.length = 0;
  kernel.writes = 0;
  const stop = async () => {
    controller.abort();
    await done;
    expect(clock.sleeping).toEqual([]);
  };
  return { kernel, clock, gateway, dataplane, outcomes, failures, atRest, stop, done };
}

const told = (outcomes: readonly Reported[]) =>
  outcomes.map(({ path, repaired, done, version }) => ({ path, repaired, done: done.map(describeChange), version }));

test("leaves the kernel alone until it is told what is wanted, then brings it there", async () => {
  const { atRest, stop } = await start();
  expect(atRest.before).toBe("");
  expect(atRest.reached).toContain("nexthop id 518000140 group 518000100/518000101");
  await stop();
});

test("at rest it looks now and then and writes nothing", async () => {
  const { kernel, clock, outcomes, stop } = await start();
  await clock.advance(60_000);
  expect(told(outcomes)).toEqual(Array(12).fill({ path: "full", repaired: false, done: [], version: 1 }));
  expect(kernel.writes).toBe(0);
  await stop();
});

test("a changed cluster takes the fast path, and is verified once the echo of the writes has come", async () => {
  const { clock, gateway, dataplane, outcomes, stop } = await start();
  await clock.advance(3_000);
  putCluster(gateway.map, { ...US, gateways: [{ ordinal: 0 }, { ordinal: 1, draining: true }] });
  expect(dataplane.want(gateway.compile())).toBe(2);
  await clock.advance(0);
  const done = ["replace nexthop id 518000140 group 518000100 type resilient buckets 32"];
  expect(told(outcomes)).toEqual([{ path: "fast", repaired: false, done, version: 2 }]);
  outcomes.length = 0;
  await clock.advance(600);
  expect(told(outcomes)).toEqual([{ path: "full", repaired: false, done: [], version: 2 }]);
  await stop();
});

test("wishes that come during a step are one further step, and none is lost", async () => {
  const { kernel, clock, gateway, dataplane, outcomes, stop } = await start();
  for (let block = 2; block < 12; block++) {
    putCluster(gateway.map, { ...PLANT, id: `plant-${block}`, block, prefixes: [`10.${block}.9.0/24`] });
    dataplane.want(gateway.compile());
  }
  await clock.advance(0);
  expect(outcomes.map(({ path, version }) => ({ path, version }))).toEqual([{ path: "fast", version: 11 }]);
  for (let block = 2; block < 12; block++) expect(kernel.toString()).toContain(`route 10.${block}.9.0/24 nhid`);
  await stop();
});

test.each([
  {
    name: "a deleted lane",
    spoil: (kernel: FakeKernel) => kernel.byHand({ kind: "remove-wireguard-link", name: "sw-a0" }),
  },
  {
    name: "a lane that is down",
    spoil: (kernel: FakeKernel) => kernel.byHand({ kind: "set-link", name: "sw-a1", up: false }),
  },
  { name: "a flushed firewall", spoil: (kernel: FakeKernel) => kernel.byHand({ kind: "remove-firewall" }) },
  { name: "an edited firewall", spoil: (kernel: FakeKernel) => kernel.alterFirewall("a rule more") },
  {
    name: "a deleted rule",
    spoil: (kernel: FakeKernel) => {
      const rule = { family: "ipv4", priority: 5180, table: 5180, notFwmark: { mark: 4096, mask: 4096 } } as const;
      kernel.byHand({ kind: "remove-rule", rule });
    },
  },
])("$name is restored at once, also right after a write of ours", async ({ spoil }) => {
  const { kernel, clock, gateway, dataplane, outcomes, atRest, stop } = await start();
  spoil(kernel);
  expect(kernel.toString()).not.toBe(atRest.reached);
  await clock.advance(0);
  expect(kernel.toString()).toBe(atRest.reached);
  expect(outcomes.map(({ path, repaired }) => ({ path, repaired }))).toContainEqual({ path: "full", repaired: true });

  putCluster(gateway.map, PLANT);
  dataplane.want(gateway.compile());
  await clock.advance(0);
  const reached = kernel.toString();
  spoil(kernel);
  await clock.advance(600);
  expect(kernel.toString()).toBe(reached);
  await stop();
});

test("told to look while it looks it looks once more: what it had read may be out of date", async () => {
  let meanwhile = () => {};
  const beforeLook = async () => {
    meanwhile();
    meanwhile = () => {};
  };
  const { clock, dataplane, outcomes, stop } = await start({ beforeLook });
  meanwhile = () => dataplane.look();
  dataplane.look();
  await clock.advance(0);
  expect(outcomes.map(({ path }) => path)).toEqual(["full", "full"]);
  await stop();
});

test("a change that the kernel refuses is tried again every second, and the rest goes on", async () => {
  const { kernel, clock, gateway, dataplane, outcomes, stop } = await start();
  kernel.refuse = (change) => (change.kind === "add-peer" ? "No space left on device" : undefined);
  putCluster(gateway.map, PLANT);
  dataplane.want(gateway.compile());
  await clock.advance(0);
  expect(outcomes.at(-1)?.failures).toHaveLength(1);
  expect(kernel.toString()).toContain("route 10.3.0.0/24 nhid 518000240");
  await clock.advance(1_000);
  expect(outcomes.at(-1)).toMatchObject({ path: "full", failures: [{ change: { kind: "add-peer" } }] });
  kernel.refuse = () => undefined;
  await clock.advance(1_000);
  expect(outcomes.at(-1)).toMatchObject({ path: "full", failures: [] });
  expect(kernel.toString()).toContain("allowed-ips 10.3.0.0/24");
  await stop();
});

test("a kernel that cannot be read is asked again, and nothing that was wanted meanwhile is lost", async () => {
  const { kernel, clock, gateway, dataplane, failures, stop } = await start();
  const { observe } = kernel.network;
  kernel.network.observe = async () => {
    throw new SpanwireError("kernel", "dump routes: interrupted", { retryable: true });
  };
  dataplane.look();
  await clock.advance(0);
  putCluster(gateway.map, PLANT);
  dataplane.want(gateway.compile());
  await clock.advance(300);
  expect(failures.length).toBeGreaterThan(1);
  kernel.network.observe = observe;
  await clock.advance(30_000);
  expect(kernel.toString()).toContain("route 10.3.0.0/24 nhid 518000240");
  await stop();
});

test("watching that breaks off is taken up again, and what happened meanwhile is seen", async () => {
  const kernel = new FakeKernel();
  const { watch } = kernel.network;
  let breaks = 3;
  kernel.network.watch = async function* (signal) {
    yield;
    if (breaks-- > 0) throw new SpanwireError("kernel", "watch: no buffer space available", { retryable: true });
    yield* watch(signal);
  };
  const { clock, atRest, failures, stop } = await start({ kernel, everyMs: 1e9 });
  kernel.byHand({ kind: "remove-firewall" });
  await clock.advance(3_000);
  expect(failures).toHaveLength(3);
  expect(kernel.toString()).toBe(atRest.reached);
  kernel.byHand({ kind: "remove-firewall" });
  await clock.advance(0);
  expect(kernel.toString()).toBe(atRest.reached);
  await stop();
});

test("a bug in a port ends it with the error", async () => {
  const { kernel, clock, dataplane, done } = await start();
  kernel.network.observe = async () => {
    throw new TypeError("x is undefined");
  };
  const ended = expect(done).rejects.toThrow("x is undefined");
  dataplane.look();
  await clock.advance(0);
  await ended;
  await clock.advance(0);
  expect(clock.sleeping).toEqual([]);
});
