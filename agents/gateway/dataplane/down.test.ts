import { expect, test } from "vitest";
import type { Change } from "../kernel/change.ts";
import { describeChange } from "../kernel/describe.ts";
import { FakeKernel } from "../kernel/fake/fake-kernel.ts";
import { takeDown } from "./down.ts";
import { bring, EU, US, wishOf } from "./testing.ts";

async function upKernel(): Promise<FakeKernel> {
  const kernel = new FakeKernel();
  await bring(kernel, wishOf({ clusters: [EU, US] }, { connected: [{ device: "lan", network: "10.1.4.0/24" }] }));
  return kernel;
}

test("removes everything of ours in an order that leaves nothing unguarded, and then finds nothing", async () => {
  const kernel = await upKernel();
  const { done, failures } = await takeDown(kernel);
  expect(failures).toEqual([]);
  expect(done.map(describeChange)).toMatchInlineSnapshot(`
    [
      "remove route 10.2.0.0/16 nhid 518000140 src 198.18.0.0 table 5180",
      "remove route 198.18.0.112/32 nhid 518000100 src 198.18.0.0 table 5180",
      "remove route 198.18.0.113/32 nhid 518000101 src 198.18.0.0 table 5180",
      "remove route 198.18.0.64/32 nhid 518000100 src 198.18.0.0 table 5180",
      "remove route 198.18.0.65/32 nhid 518000101 src 198.18.0.0 table 5180",
      "remove route 198.18.0.80/32 dev sw-a0 src 198.18.0.16 table 5180",
      "remove route 198.18.0.81/32 dev sw-a1 src 198.18.0.16 table 5180",
      "remove route blackhole 10.2.0.0/16 table 5180 metric 4096",
      "remove route blackhole 198.18.0.64/26 table 5180 metric 4096",
      "remove route blackhole fd5a:1:0:1::/64 table 5180 metric 4096",
      "remove route throw 10.1.0.0/16 table 5180",
      "remove route throw 10.1.4.0/24 table 5180",
      "remove rule 5180: not fwmark 0x1000/0x1000 lookup 5180 ipv4",
      "remove rule 5180: not fwmark 0x1000/0x1000 lookup 5180 ipv6",
      "remove nexthop id 518000140",
      "remove nexthop id 518000100",
      "remove nexthop id 518000101",
      "remove link sw-a0",
      "remove link sw-a1",
      "remove link sw0",
      "remove firewall",
    ]
  `);
  expect(kernel.toString()).toBe("");
  expect(await takeDown(kernel)).toEqual({ done: [], failures: [] });
});

test("leaves alone what others made", async () => {
  const kernel = await upKernel();
  const foreigners: readonly Change[] = [
    { kind: "add-dummy-link", name: "sw-other", mtuBytes: 1500 },
    { kind: "add-dummy-link", name: "eth0", mtuBytes: 1500 },
    { kind: "add-wireguard-link", name: "wg0", mtuBytes: 1420 },
  ];
  for (const change of foreigners) kernel.byHand(change);
  await takeDown(kernel);
  expect(kernel.toString().match(/^link \S+/gm)).toEqual(["link eth0", "link sw-other", "link wg0"]);
});

test("what cannot be removed keeps the firewall, and the next try finishes", async () => {
  const kernel = await upKernel();
  kernel.refuse = (change) => (describeChange(change) === "remove link sw-a0" ? "Device or resource busy" : undefined);
  const { failures } = await takeDown(kernel);
  expect(failures.map(({ error }) => error.message)).toEqual(["remove link sw-a0: Device or resource busy (EINVAL)"]);
  expect(kernel.toString()).toContain("firewall mark");
  kernel.refuse = () => undefined;
  await takeDown(kernel);
  expect(kernel.toString()).toBe("");
});
