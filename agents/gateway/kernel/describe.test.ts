import { Secret } from "@spanwire/core/identity/secret";
import { expect, test } from "vitest";
import type { Change } from "./change.ts";
import { describeChange } from "./describe.ts";

const KEY = new Secret(Buffer.alloc(32, 0x5a));
const ROUTE = { table: 5180, destination: "10.2.0.0/16", metric: 0 } as const;
const RULE = { family: "ipv4", priority: 5180, notFwmark: { mark: 0x1000, mask: 0x1000 }, table: 5180 } as const;
const PEER = { device: "sw-a0", publicKey: "X=" } as const;

const CHANGES: readonly Change[] = [
  { kind: "add-wireguard-link", name: "sw-a0", mtuBytes: 1420 },
  { kind: "remove-wireguard-link", name: "sw-a0" },
  { kind: "set-wireguard-device", device: "sw-a0", privateKey: KEY, listenPort: 51_820, fwmark: 0x1000 },
  {
    ...PEER,
    kind: "add-peer",
    presharedKey: KEY,
    endpoint: "192.0.2.1:1",
    keepaliveSeconds: 20,
    allowedIps: ["10.2.0.0/16"],
  },
  { ...PEER, kind: "remove-peer" },
  { ...PEER, kind: "add-allowed-ips", allowedIps: ["10.2.0.0/16", "fd00:2::/64"] },
  { ...PEER, kind: "remove-allowed-ips", allowedIps: ["10.2.0.0/16"] },
  { ...PEER, kind: "set-endpoint", endpoint: "[2001:db8::1]:1" },
  { ...PEER, kind: "set-keepalive", keepaliveSeconds: 0 },
  { ...PEER, kind: "set-preshared-key", presharedKey: KEY },
  { ...PEER, kind: "set-preshared-key", presharedKey: undefined },
  { kind: "add-dummy-link", name: "sw0", mtuBytes: 1420 },
  { kind: "remove-link", name: "sw0" },
  { kind: "set-link", name: "sw0", mtuBytes: 1380, up: true },
  { kind: "set-settings", settings: { device: "sw-a0", rpFilter: 2, forwarding: true } },
  { kind: "add-address", address: { device: "sw0", address: "198.18.0.1/32" } },
  { kind: "remove-address", address: { device: "sw0", address: "198.18.0.1/32" } },
  { kind: "replace-nexthop", nexthop: { kind: "device", id: 1, family: "ipv6", device: "sw-a0" } },
  {
    kind: "replace-nexthop",
    nexthop: {
      kind: "group",
      id: 9,
      members: [
        { id: 1, weight: 1 },
        { id: 2, weight: 3 },
      ],
      resilientBuckets: 32,
    },
  },
  { kind: "remove-nexthop", id: 9 },
  {
    kind: "replace-route",
    route: { ...ROUTE, target: { kind: "nexthop", id: 9, source: "198.18.0.1" }, mtuBytes: 1380 },
  },
  { kind: "replace-route", route: { ...ROUTE, target: { kind: "device", device: "sw-a0", source: "198.18.0.1" } } },
  { kind: "remove-route", route: { ...ROUTE, metric: 4096, target: { kind: "blackhole" } } },
  { kind: "remove-route", route: { ...ROUTE, target: { kind: "other", type: 7 } } },
  { kind: "add-rule", rule: RULE },
  { kind: "remove-rule", rule: RULE },
  {
    kind: "replace-firewall",
    firewall: {
      remote: ["10.2.0.0/16"],
      kept: [],
      lanePrefix: "sw-",
      stableDevice: "sw0",
      mark: { mark: 1, mask: 1 },
      forward: [],
      snat: [],
      mssClamp: undefined,
    },
  },
  { kind: "remove-firewall" },
];

test("every change is one line without secrets", () => {
  const text = CHANGES.map(describeChange).join("\n");
  expect(text).not.toContain("ZZ");
  expect(text).toMatchInlineSnapshot(`
    "add wireguard link sw-a0 mtu 1420
    remove link sw-a0
    set device sw-a0 private-key [secret] listen-port 51820 fwmark 0x1000
    add peer X= to sw-a0 preshared-key [secret] endpoint 192.0.2.1:1 keepalive 20 allowed-ips 10.2.0.0/16
    remove peer X= from sw-a0
    add allowed-ips 10.2.0.0/16,fd00:2::/64 to peer X= of sw-a0
    remove allowed-ips 10.2.0.0/16 from peer X= of sw-a0
    set endpoint [2001:db8::1]:1 of peer X= of sw-a0
    set keepalive 0 of peer X= of sw-a0
    set preshared-key [secret] of peer X= of sw-a0
    set preshared-key none of peer X= of sw-a0
    add dummy link sw0 mtu 1420
    remove link sw0
    set link sw0 mtu 1380 up
    set settings of sw-a0 rp_filter 2 forwarding 1
    add address 198.18.0.1/32 to sw0
    remove address 198.18.0.1/32 from sw0
    replace nexthop id 1 dev sw-a0 ipv6
    replace nexthop id 9 group 1/2,3 type resilient buckets 32
    remove nexthop id 9
    replace route 10.2.0.0/16 nhid 9 src 198.18.0.1 table 5180 mtu 1380
    replace route 10.2.0.0/16 dev sw-a0 src 198.18.0.1 table 5180
    remove route blackhole 10.2.0.0/16 table 5180 metric 4096
    remove route other(7) 10.2.0.0/16 table 5180
    add rule 5180: not fwmark 0x1000/0x1000 lookup 5180 ipv4
    remove rule 5180: not fwmark 0x1000/0x1000 lookup 5180 ipv4
    replace firewall: 1 remote prefixes, 0 forward rules, 0 translations
    remove firewall"
  `);
});
