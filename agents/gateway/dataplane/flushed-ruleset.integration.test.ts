/** The firewall is watched: with a look once an hour, only the kernel's own event can mend it. Needs root, no WireGuard. */
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { expect, test } from "vitest";
import { createTestNamespace } from "../kernel/contract/namespace.ts";
import { FakeKernel } from "../kernel/fake/fake-kernel.ts";
import { openKernel } from "../kernel/open-kernel.ts";
import type { Kernel } from "../kernel/port.ts";
import { Dataplane, type Reported } from "./dataplane.ts";
import { EU, testGateway, US } from "./testing.ts";

test.each([
  { by: "nft flush ruleset", nft: "flush ruleset" },
  { by: "flushing the guard's chain", nft: "flush chain inet spanwire guard-out" },
  { by: "an element taken from a set", nft: "delete element inet spanwire remote4 { 10.2.0.0/16 }" },
])("a firewall that was taken away by $by is made again", async ({ nft }) => {
  await using namespace = await createTestNamespace();
  await using real = openKernel({ dataplane: { kind: "kernel" }, netns: namespace.path });
  const fake = new FakeKernel();
  const kernel: Kernel = {
    features: fake.features,
    wireguard: fake.wireguard,
    network: { ...fake.network, watch: real.network.watch },
    firewall: real.firewall,
    [Symbol.asyncDispose]: async () => {},
  };
  const outcomes: Reported[] = [];
  const stop = new AbortController();
  const dataplane = new Dataplane({
    kernel,
    clock: systemClock,
    random: Math.random,
    resolve: async () => [],
    onOutcome: (outcome) => outcomes.push(outcome),
    onFailure: (error) => {
      throw error;
    },
    everyMs: 3_600_000,
    signal: stop.signal,
  });
  dataplane.want(testGateway({ clusters: [EU, US] }).compile());
  const done = dataplane.run();
  await expect.poll(async () => (await real.firewall.observe()).kind).toBe("present");
  // Our own write is an event, too: after the look that it causes nothing is due any more.
  await expect.poll(() => outcomes.at(-1)?.done.length === 0).toBe(true);

  const from = outcomes.length;
  await namespace.exec("nft", nft);
  await expect.poll(() => outcomes.slice(from).some(({ repaired }) => repaired)).toBe(true);
  expect((await real.firewall.observe()).kind).toBe("present");
  stop.abort();
  await done;
});
