import { flatten } from "@spanwire/core/desired/desired";
import type { KernelState } from "@spanwire/core/desired/state";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change } from "../kernel/change.ts";
import { describeChange } from "../kernel/describe.ts";
import { FakeKernel } from "../kernel/fake/fake-kernel.ts";
import { apply } from "./apply.ts";
import { diff } from "./diff.ts";
import { type Observed, observe } from "./observe.ts";
import { Reconciler } from "./reconcile.ts";
import { anyMisdeed, anyWish, lostProtection, type Misdeed } from "./testing-states.ts";

/** A kernel that was brought to some wish, then part of the way to another, and that somebody then worked on by hand. */
const anyPast = fc.record({
  first: anyWish,
  second: anyWish,
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  misdeeds: fc.array(anyMisdeed, { maxLength: 6 }),
});

type Past = typeof anyPast extends fc.Arbitrary<infer Value> ? Value : never;

async function kernelWith({ first, second, share, misdeeds }: Past): Promise<FakeKernel> {
  const kernel = new FakeKernel();
  await apply(kernel, diff(flatten(first), await observe(kernel)));
  const changes = diff(flatten(second), await observe(kernel));
  for (const change of changes.slice(0, Math.round(share * changes.length))) kernel.byHand(change);
  for (const misdeed of misdeeds) doMisdeed(kernel, await observe(kernel), misdeed);
  return kernel;
}

function doMisdeed(kernel: FakeKernel, observed: Observed, misdeed: Misdeed): void {
  const change = misdeed(observed);
  if (change === "alter firewall") kernel.alterFirewall("a rule more");
  else if (change !== undefined) kernel.byHand(change);
}

test("from anywhere it reaches the wish, then nothing is left, and on the way nothing is unprotected", async () => {
  await fc.assert(
    fc.asyncProperty(anyPast, anyWish, async (past, wish) => {
      const kernel = await kernelWith(past);
      const desired = flatten(wish);
      const states = [await observe(kernel)];
      const changes = diff(desired, await observe(kernel));
      for (const change of changes) {
        const { failures } = await apply(kernel, [change]);
        expect(failures.map(({ error }) => error.message)).toEqual([]);
        states.push(await observe(kernel));
      }
      expect(diff(desired, await observe(kernel)).map(describeChange)).toEqual([]);
      expect(lostProtection(desired, changes, states)).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

test("killed between any two changes, it goes on from there", async () => {
  await fc.assert(
    fc.asyncProperty(anyPast, anyWish, async (past, wish) => {
      const desired = flatten(wish);
      const changes = diff(desired, await observe(await kernelWith(past)));
      const end = await kernelWith(past);
      await apply(end, changes);
      for (let stop = 0; stop < changes.length; stop++) {
        const kernel = await kernelWith(past);
        await apply(kernel, changes.slice(0, stop));
        const { failures } = await apply(kernel, diff(desired, await observe(kernel)));
        expect(failures.map(({ error }) => error.message)).toEqual([]);
        expect(kernel.toString()).toBe(end.toString());
      }
    }),
    { numRuns: 8 },
  );
});

test("the fast path ends where the full one does", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyWish, { minLength: 2, maxLength: 5 }), async (wishes) => {
      const [byLooking, byChange] = [new FakeKernel(), new FakeKernel()];
      const [slow, quick] = [new Reconciler(byLooking), new Reconciler(byChange)];
      for (const wish of wishes) {
        await slow.full(() => wish);
        (await quick.fast(wish, ["us", "plant", "asia"])) ?? (await quick.full(() => wish));
        expect(diff(flatten(wish), await observe(byChange)).map(describeChange)).toEqual([]);
        expect(diff(flatten(wish), await observe(byLooking)).map(describeChange)).toEqual([]);
      }
    }),
    { numRuns: 40 },
  );
});

test("what the kernel refuses does not keep the rest back, and is done when it is refused no more", async () => {
  const kinds: readonly Change["kind"][] = [
    "add-wireguard-link",
    "set-wireguard-device",
    "set-link",
    "add-address",
    "add-peer",
    "add-allowed-ips",
    "replace-nexthop",
    "replace-route",
    "remove-route",
    "replace-firewall",
  ];
  await fc.assert(
    fc.asyncProperty(
      anyPast,
      anyWish,
      fc.subarray([...kinds]),
      fc.integer({ min: 1, max: 4 }),
      async (past, wish, refused, nth) => {
        const kernel = await kernelWith(past);
        const reconciler = new Reconciler(kernel);
        let asked = 0;
        kernel.refuse = ({ kind }) =>
          refused.includes(kind) && asked++ % nth === 0 ? "refused for the test" : undefined;
        const outcome = await reconciler.full(() => wish);
        kernel.refuse = () => undefined;
        if (outcome.failures.length === 0 && outcome.unusable.size === 0)
          expect(await remaining(kernel, flatten(wish))).toEqual([]);
        const { failures } = await reconciler.full(() => wish);
        expect(failures).toEqual([]);
        expect(await remaining(kernel, flatten(wish))).toEqual([]);
      },
    ),
    { numRuns: 60 },
  );
});

async function remaining(kernel: FakeKernel, desired: KernelState): Promise<string[]> {
  return diff(desired, await observe(kernel)).map(describeChange);
}
