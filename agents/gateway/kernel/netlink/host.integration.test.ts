/** What the port tells of the host itself, beside what `ip` and `sysctl` set there. Needs root, no WireGuard. */
import { expect, test } from "vitest";
import { createTestNamespace, type TestNamespace } from "../contract/namespace.ts";
import { openKernel } from "../open-kernel.ts";

const FORWARDING = "net.ipv4.conf.lan.forwarding";
const IPV6_FORWARDING = "net.ipv6.conf.all.forwarding";

async function createHost(): Promise<TestNamespace> {
  const namespace = await createTestNamespace();
  const ip = (line: string) => namespace.exec("ip", ...line.split(" "));
  await ip("link add lan type veth peer name there");
  await ip("addr add 10.1.0.1/24 dev lan");
  for (const device of ["lo", "lan", "there"]) await ip(`link set ${device} up`);
  await ip("route add 10.2.0.0/16 via 10.1.0.9");
  await ip("route add 10.3.0.0/16 nexthop via 10.1.0.9 nexthop via 10.1.0.8");
  await ip("route add blackhole 10.4.0.0/16");
  await ip("route add 10.5.0.0/16 via 10.1.0.9 table 100");
  await ip("route add 10.6.0.0/16 via 10.1.0.9 table 5180");
  return namespace;
}

test("tells connected networks from those behind a router, and which devices forward", async () => {
  await using namespace = await createHost();
  await namespace.exec("sysctl", "-qw", `${FORWARDING}=1`);
  await using kernel = openKernel({ dataplane: { kind: "kernel" }, netns: namespace.path });
  const { connected, routed, devices, ipv6Forwarding } = await kernel.network.host();
  expect(connected.filter(({ device }) => device === "lan")).toEqual([
    { device: "lan", destination: "10.1.0.0/24", table: 254 },
  ]);
  expect(routed).toEqual([
    { device: "lan", destination: "10.2.0.0/16", table: 254 },
    { device: "", destination: "10.3.0.0/16", table: 254 },
  ]);
  expect(devices).toEqual([
    { name: "lan", forwarding: true },
    { name: "there", forwarding: false },
  ]);
  expect(ipv6Forwarding).toBe(false);
});

test.each([
  { sysctl: FORWARDING },
  { sysctl: IPV6_FORWARDING },
])("wakes the watcher when somebody sets $sysctl, with nothing else changed", async ({ sysctl }) => {
  await using namespace = await createHost();
  await using kernel = openKernel({ dataplane: { kind: "kernel" }, netns: namespace.path });
  const forwards = async () => {
    const { devices, ipv6Forwarding } = await kernel.network.host();
    return sysctl === FORWARDING ? devices.find(({ name }) => name === "lan")?.forwarding : ipv6Forwarding;
  };
  const stop = new AbortController();
  const events = kernel.network.watch(stop.signal)[Symbol.asyncIterator]();
  await events.next(); // the first comes at once
  for (const value of [1, 0]) {
    const woken = events.next();
    await namespace.exec("sysctl", "-qw", `${sysctl}=${value}`);
    // Without this event nothing would ever come: the test's own time ends it.
    while (!((await woken).done === false && (await forwards()) === (value === 1))) await events.next();
  }
  stop.abort();
});
