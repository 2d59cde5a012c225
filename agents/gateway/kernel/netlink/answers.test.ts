import { expect, test } from "vitest";
import { readAddress } from "./address-messages.ts";
import { readPackets } from "./counter-messages.ts";
import { readFailure } from "./failure.ts";
import { readLink } from "./link-messages.ts";
import { type Message, messagesIn } from "./message.ts";
import { readForwarding } from "./netconf-messages.ts";
import { readNexthop } from "./nexthop-messages.ts";
import { readRoute, toObservedRoute } from "./route-messages.ts";
import { readRule } from "./rule-messages.ts";
import { recorded } from "./testdata.ts";
import { createDeviceReader } from "./wireguard-decode.ts";

const NAMES = new Map([
  [2, "sw0"],
  [3, "sw-a0"],
  [4, "sw-a1"],
]);
const nameOf = (index: number) => NAMES.get(index);

/** Everything in the answers to a command that `read` understands. */
function read<T>(command: string, read: (message: Message, buffer: Buffer) => T | undefined): T[] {
  return recorded("answers.txt", command).flatMap((datagram) =>
    [...messagesIn(datagram, datagram.length)].flatMap((message) => read(message, datagram) ?? []),
  );
}

test("links", () => {
  const links = read("ip -d link show type wireguard", readLink);
  expect(links).toEqual([
    {
      index: 3,
      name: "sw-a0",
      kind: "wireguard",
      mtuBytes: 1420,
      up: true,
      loopback: false,
      settings: { device: "sw-a0", rpFilter: 0, forwarding: false },
    },
    {
      index: 4,
      name: "sw-a1",
      kind: "wireguard",
      mtuBytes: 1420,
      up: true,
      loopback: false,
      settings: { device: "sw-a1", rpFilter: 0, forwarding: false },
    },
  ]);
});

test("addresses", () => {
  const addresses = read("ip addr show dev sw0", readAddress).filter(({ index }) => index === 2);
  expect(addresses.map(({ address, linkLocal }) => ({ address: linkLocal ? "fe80" : address, linkLocal }))).toEqual([
    { address: "198.18.0.1/32", linkLocal: false },
    { address: "fd00::1/128", linkLocal: false },
    { address: "fe80", linkLocal: true },
  ]);
});

test("nexthops", () => {
  const nexthops = read("ip nexthop show", (message, buffer) => readNexthop(message, buffer, nameOf));
  const [one, three] = [1, 3].map((weight) => ({ id: 518_000_101, weight }));
  const first = { id: 518_000_100, weight: 1 };
  expect(nexthops).toEqual([
    { kind: "device", id: 518_000_100, family: "ipv4", device: "sw-a0" },
    { kind: "device", id: 518_000_101, family: "ipv4", device: "sw-a1" },
    { kind: "group", id: 518_000_140, members: [first, one], resilientBuckets: 32 },
    { kind: "group", id: 518_000_141, members: [first, three], resilientBuckets: undefined },
    { kind: "device", id: 518_000_150, family: "ipv6", device: "sw-a0" },
  ]);
});

test("routes", () => {
  const commands = ["ip route show table 5180", "ip -6 route show table 5180"];
  const routes = commands.flatMap((command) =>
    read(command, (message, buffer) => {
      const record = readRoute(message, buffer);
      return record && toObservedRoute(record, nameOf);
    }),
  );
  const table = 5180;
  expect(routes).toEqual([
    { table, destination: "10.1.0.0/16", metric: 0, target: { kind: "throw" } },
    {
      table,
      destination: "10.2.0.0/16",
      metric: 0,
      target: { kind: "nexthop", id: 518_000_140, source: "198.18.0.1" },
    },
    { table, destination: "10.2.0.0/16", metric: 4096, target: { kind: "blackhole" } },
    {
      table,
      destination: "198.18.0.66/32",
      metric: 0,
      target: { kind: "device", device: "sw-a0", source: "198.18.0.1" },
      mtuBytes: 1380,
    },
    {
      table,
      destination: "fd00:2::/64",
      metric: 1024,
      target: { kind: "nexthop", id: 518_000_150, source: "fd00::1" },
    },
    { table, destination: "fd00:2::/64", metric: 4096, target: { kind: "blackhole" } },
  ]);
});

test("rules: ours, and none of the kernel's own", () => {
  const rule = { priority: 5180, notFwmark: { mark: 0x1000, mask: 0x1000 }, table: 5180 };
  expect(read("ip rule show", readRule)).toEqual([{ family: "ipv4", ...rule }]);
  expect(read("ip -6 rule show", readRule)).toEqual([{ family: "ipv6", ...rule }]);
});

test("the packets of a counter", () => {
  expect(read("nft list counter inet spanwire denied", readPackets)).toEqual([5]);
});

test.each([
  { command: "ip -6 netconf show dev sw0", want: [false] },
  { command: "ip -6 netconf show dev sw-a0", want: [true] },
])("IPv6 forwarding: $command", ({ command, want }) => {
  expect(read(command, readForwarding)).toEqual(want);
});

test("a WireGuard device with its peers, without its keys", () => {
  const reader = createDeviceReader("sw-a0");
  read("wg show sw-a0 dump", (message, buffer) => {
    if (message.type === 0x20) reader.read(message, buffer);
  });
  const device = reader.finish();
  expect(device.peers.map(({ txBytes, ...peer }) => peer)).toEqual([
    {
      publicKey: Buffer.alloc(32, 3).toString("base64"),
      hasPresharedKey: true,
      endpoint: "192.0.2.1:51820",
      keepaliveSeconds: 20,
      lastHandshakeMs: undefined,
      rxBytes: 0,
      allowedIps: ["10.2.0.0/16", "198.18.0.64/26", "fd00:2::/64"],
    },
    {
      publicKey: Buffer.alloc(32, 4).toString("base64"),
      hasPresharedKey: false,
      endpoint: "[2001:db8::1]:51821",
      keepaliveSeconds: 0,
      lastHandshakeMs: undefined,
      rxBytes: 0,
      allowedIps: [],
    },
  ]);
  expect(device).toMatchObject({ name: "sw-a0", listenPort: 51_820, fwmark: 0x1000, publicKey: expect.any(String) });
});

test.each([
  {
    command: "ip route replace 10.9.0.0/16 nhid 518000199 table 5180",
    want: { errno: "EINVAL", said: "Nexthop id does not exist" },
  },
  { command: "ip link del sw9", want: { errno: "ENODEV", said: "no such device" } },
])("says why: $command", ({ command, want }) => {
  expect(read(command, (message, buffer) => readFailure(buffer, message)).at(-1)).toEqual(want);
});
