import { expect, test } from "vitest";
import { conditionsOf } from "./desired.ts";
import type { LocalFacts } from "./local-facts.ts";
import { compileOnce, EU, type TestMesh, testLocal, testMap, US } from "./testing.ts";

const LAN = { device: "lan", network: "10.1.4.0/24" };
const IPV6 = { ...EU, prefixes: ["10.1.0.0/16", "fd10:1::/64"] };
const MESH: TestMesh = { clusters: [EU, US] };

interface Case {
  readonly name: string;
  readonly mesh?: TestMesh;
  readonly facts: Partial<LocalFacts>;
  readonly says: readonly string[];
}

test.each<Case>([
  { name: "everything forwards", facts: {}, says: [] },
  {
    name: "a LAN's device does not",
    facts: { notForwarding: [LAN] },
    says: [
      "device lan: lan does not forward, so 10.1.4.0/24 cannot send into the mesh by this gateway: sysctl -w net.ipv4.conf.lan.forwarding=1",
    ],
  },
  {
    name: "one condition for each device, its name as sysctl wants it",
    facts: { notForwarding: [LAN, { device: "eth0.7", network: "10.1.5.0/24" }, { ...LAN, network: "10.1.6.0/24" }] },
    says: [
      "device eth0.7: eth0.7 does not forward, so 10.1.5.0/24 cannot send into the mesh by this gateway: sysctl -w net.ipv4.conf.eth0/7.forwarding=1",
      "device lan: lan does not forward, so 10.1.4.0/24, 10.1.6.0/24 cannot send into the mesh by this gateway: sysctl -w net.ipv4.conf.lan.forwarding=1",
    ],
  },
  { name: "a network that is none of ours", facts: { notForwarding: [{ ...LAN, network: "192.0.2.0/24" }] }, says: [] },
  {
    name: "a wider route by a router",
    facts: { notForwarding: [{ device: "wan", network: "10.0.0.0/8" }] },
    says: [],
  },
  {
    name: "a wider network that is connected",
    facts: { connected: [{ ...LAN, network: "10.0.0.0/8" }], notForwarding: [{ ...LAN, network: "10.0.0.0/8" }] },
    says: [
      "device lan: lan does not forward, so 10.0.0.0/8 cannot send into the mesh by this gateway: sysctl -w net.ipv4.conf.lan.forwarding=1",
    ],
  },
  {
    name: "a network that is translated",
    facts: { snat: ["192.0.2.0/24"], notForwarding: [{ ...LAN, network: "192.0.2.0/24" }] },
    says: [
      "device lan: lan does not forward, so 192.0.2.0/24 cannot send into the mesh by this gateway: sysctl -w net.ipv4.conf.lan.forwarding=1",
    ],
  },
  { name: "no IPv6, and none of ours", facts: { ipv6: "routed", ipv6Forwarding: false }, says: [] },
  { name: "no IPv6, which is not carried", mesh: { clusters: [IPV6] }, facts: { ipv6Forwarding: false }, says: [] },
  {
    name: "no IPv6",
    mesh: { clusters: [IPV6, US] },
    facts: { ipv6: "routed", ipv6Forwarding: false },
    says: [
      "sysctl net.ipv6.conf.all.forwarding: this host forwards no IPv6, so nothing behind it reaches the mesh by IPv6: sysctl -w net.ipv6.conf.all.forwarding=1 (IPv6 has no such setting for one device)",
    ],
  },
])("$name", ({ mesh = MESH, facts, says }) => {
  const map = testMap(mesh);
  const conditions = conditionsOf(compileOnce(map, testLocal(map, "eu", 0, facts)).desired);
  const found = conditions.filter(({ type }) => type === "LanNotForwarding");
  expect(found.map(({ subject, message }) => `${subject}: ${message}`)).toEqual(says);
});
