import { expect, test } from "vitest";
import type { HostNetwork } from "../kernel/port.ts";
import { NO_NETWORKS, networkFacts } from "./local-networks.ts";

const HOST: HostNetwork = { addresses: [], connected: [], routed: [], devices: [], ipv6Forwarding: true };
const via = (device: string, destination: string, table = 254) => ({ device, destination, table });

test("networks of the main table, once each, default routes by themselves, and no link-local ones", () => {
  const routes = [
    via("eth0", "192.168.7.0/24"),
    via("eth0", "10.1.0.0/24"),
    via("eth1", "10.1.0.0/24"),
    via("eth1", "10.1.0.0/24"),
    via("eth0", "0.0.0.0/0"),
    via("eth0", "169.254.0.0/16"),
    via("eth0", "fe80::/64"),
    via("eth0", "ff00::/8"),
    via("eth0", "2001:db8:1::/64"),
    via("eth0", "10.9.0.0/24", 100),
  ];
  const networks = ["10.1.0.0/24", "192.168.7.0/24", "2001:db8:1::/64"];
  const defaultRoutes = [{ device: "eth0", network: "0.0.0.0/0" }];
  expect(networkFacts({ ...HOST, connected: routes })).toEqual({
    ...NO_NETWORKS,
    connected: [
      { device: "eth0", network: "10.1.0.0/24" },
      { device: "eth1", network: "10.1.0.0/24" },
      { device: "eth0", network: "192.168.7.0/24" },
      { device: "eth0", network: "2001:db8:1::/64" },
    ],
    defaultRoutes,
  });
  expect(networkFacts({ ...HOST, routed: routes })).toEqual({ ...NO_NETWORKS, localRoutes: networks, defaultRoutes });
});

test("addresses of this host that lie in none of its networks", () => {
  const addresses = ["10.1.0.1/24", "10.9.0.7/32", "2001:db8:1::1/64", "2001:db8:9::1/128"];
  const facts = networkFacts({
    ...HOST,
    addresses: addresses.map((address) => ({ device: "lan", address })),
    connected: [via("lan", "10.1.0.0/24"), via("lan", "2001:db8:1::/64")],
  });
  expect(facts.loneAddresses).toEqual(["10.9.0.7/32", "2001:db8:9::1/128"]);
});

test("IPv4 networks of devices that do not forward, whether connected or behind a router", () => {
  const facts = networkFacts({
    ...HOST,
    connected: [via("lan", "10.1.0.0/24"), via("lan", "fd10:1::/64"), via("wan", "192.0.2.0/24")],
    routed: [via("lan", "10.1.7.0/24"), via("lan", "0.0.0.0/0"), via("", "10.1.8.0/24")],
    devices: [
      { name: "lan", forwarding: false },
      { name: "wan", forwarding: true },
    ],
    ipv6Forwarding: false,
  });
  expect(facts.notForwarding).toEqual([
    { device: "lan", network: "10.1.0.0/24" },
    { device: "lan", network: "10.1.7.0/24" },
  ]);
  expect(facts.ipv6Forwarding).toBe(false);
});
