import { flatten } from "@spanwire/core/desired/desired";
import { SpanwireError } from "@spanwire/core/errors";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { expect, test } from "vitest";
import { FakeKernel } from "../kernel/fake/fake-kernel.ts";
import { ForwardWatch } from "./forward-watch.ts";
import { wishOf } from "./testing.ts";

const DOCKER = { name: "ip filter FORWARD", policy: "drop", version: "1" } as const;

function start() {
  const kernel = new FakeKernel();
  const clock = new FakeClock();
  const { firewall } = flatten(wishOf({ clusters: [] }));
  if (firewall === undefined) throw new Error("no firewall");
  const write = () => kernel.byHand({ kind: "replace-firewall", firewall });
  write();
  const watch = new ForwardWatch({ firewall: kernel.firewall, clock });
  const said = async () => (await watch.look())?.chains.map(({ name }) => name);
  /** Packets so far: those that went in, that we denied, that came out. */
  const count = (entered: number, denied: number, passed: number) => kernel.setForwarded({ entered, denied, passed });
  return { kernel, clock, write, said, count };
}

test("says nothing while packets pass, are denied by us, or are on their way", async () => {
  const { said, count } = start();
  expect(await said()).toBeUndefined();
  count(1_000, 300, 700);
  expect(await said()).toBeUndefined();
  count(2_008, 300, 1_700);
  expect(await said()).toBeUndefined();
});

test("names who can drop as soon as packets are lost, however slowly, until that is changed", async () => {
  const { kernel, said, count } = start();
  kernel.setForeignChains([DOCKER]);
  for (let packets = 0; packets <= 8; packets++) {
    count(packets, 0, 0);
    expect(await said()).toBeUndefined();
  }
  count(9, 0, 0);
  expect(await said()).toEqual(["ip filter FORWARD"]);
  expect(await said()).toEqual(["ip filter FORWARD"]);
  kernel.setForeignChains([{ ...DOCKER, version: "2" }]);
  expect(await said()).toBeUndefined();
  count(109, 0, 91);
  expect(await said()).toEqual(["ip filter FORWARD"]);
  kernel.setForeignChains([]);
  expect(await said()).toBeUndefined();
});

test("what was lost between the last look and a change is not held against what was changed", async () => {
  const { kernel, said, count } = start();
  await said();
  kernel.setForeignChains([DOCKER]);
  count(100, 0, 0);
  expect(await said()).toEqual(["ip filter FORWARD"]);
  count(300, 0, 100);
  kernel.setForeignChains([{ ...DOCKER, version: "2" }]);
  expect(await said()).toBeUndefined();
  count(400, 0, 200);
  expect(await said()).toBeUndefined();
  count(500, 0, 200);
  expect(await said()).toEqual(["ip filter FORWARD"]);
});

test("ends where nothing was lost for a minute in which packets passed", async () => {
  const { kernel, clock, said, count } = start();
  await said();
  count(100, 0, 0);
  expect(await said()).toEqual([]); // nft has nothing that could: iptables-legacy, for instance
  await clock.advance(61_000);
  expect(await said()).toEqual([]); // nobody has tried
  count(200, 0, 100);
  expect(await said()).toBeUndefined();
  expect(kernel.writes).toBe(0);
});

test("packets that pass while the counters are read make no loss of the next look", async () => {
  const total = { entered: 0, passed: 0 };
  let meanwhile = 0;
  const forwarded = async () => {
    const { entered } = total;
    total.entered += meanwhile;
    total.passed += meanwhile;
    return { entered, denied: 0, passed: total.passed };
  };
  let version = 1;
  const foreignChains = async () => [{ ...DOCKER, version: String(version) }];
  const watch = new ForwardWatch({ firewall: { forwarded, foreignChains }, clock: new FakeClock() });
  const quietAfterBusy = async () => {
    for (meanwhile of [40, 0]) expect(await watch.look()).toBeUndefined();
  };
  await quietAfterBusy();
  total.entered += 9;
  expect(await watch.look()).toBeDefined();
  version = 2;
  await quietAfterBusy();
});

test("what was lost before the first look is history, and a table made anew counts from nothing", async () => {
  const { kernel, write, said, count } = start();
  count(1_000, 0, 0);
  expect(await said()).toBeUndefined();
  kernel.byHand({ kind: "remove-firewall" });
  expect(await said()).toBeUndefined();
  write();
  count(20, 0, 5);
  expect(await said()).toEqual([]);
});

test("says it without names where nft cannot be asked", async () => {
  const { kernel, clock, count } = start();
  const foreignChains = async () => {
    throw new SpanwireError("kernel", "cannot run nft");
  };
  const watch = new ForwardWatch({ firewall: { ...kernel.firewall, foreignChains }, clock });
  await watch.look();
  count(100, 0, 0);
  expect(await watch.look()).toEqual({ chains: [] });
});
