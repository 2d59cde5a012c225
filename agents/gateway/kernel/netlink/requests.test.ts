import { Secret } from "@spanwire/core/identity/secret";
import { expect, test } from "vitest";
import { addAddress, removeAddress } from "./address-messages.ts";
import { type AttributeWriter, forEachAttribute } from "./attributes.ts";
import { getCounter } from "./counter-messages.ts";
import { addLink } from "./link-messages.ts";
import { endMessage } from "./message.ts";
import { getIpv6Forwarding } from "./netconf-messages.ts";
import { removeNexthop, replaceNexthop } from "./nexthop-messages.ts";
import { removeRoute, replaceRoute } from "./route-messages.ts";
import { addRule } from "./rule-messages.ts";
import { recorded } from "./testdata.ts";
import { encodeDeviceChange } from "./wireguard-encode.ts";

/** As they were numbered when testdata/capture.sh ran. */
const SW0 = 2;
const SW_A0 = 3;
const WIREGUARD_FAMILY_ID = 0x20;

const X = Buffer.alloc(32, 3).toString("base64");
const Y = Buffer.alloc(32, 4).toString("base64");
const PRIVATE_KEY = new Secret(Buffer.concat([Buffer.of(1), Buffer.alloc(30), Buffer.of(0x40)]));
const ROUTE = { table: 5180, metric: 0 } as const;
const BLACKHOLE = { ...ROUTE, metric: 4096, target: { kind: "blackhole" } } as const;
const RULE = { priority: 5180, notFwmark: { mark: 0x1000, mask: 0x1000 }, table: 5180 } as const;

test.each<{ command: string; ours: () => AttributeWriter }>([
  {
    command: "ip link add sw0 mtu 1400 type dummy",
    ours: () => addLink({ name: "sw0", kind: "dummy", mtuBytes: 1400 }),
  },
  {
    command: "ip link add sw-a0 mtu 1420 type wireguard",
    ours: () => addLink({ name: "sw-a0", kind: "wireguard", mtuBytes: 1420 }),
  },
  { command: "ip addr replace 198.18.0.1/32 dev sw0", ours: () => addAddress(SW0, "198.18.0.1/32") },
  { command: "ip addr replace fd00::1/128 dev sw0 nodad", ours: () => addAddress(SW0, "fd00::1/128") },
  { command: "ip addr del 198.18.0.1/32 dev sw0", ours: () => removeAddress(SW0, "198.18.0.1/32") },
  {
    command: "ip nexthop replace id 518000100 dev sw-a0 proto 151",
    ours: () => replaceNexthop({ kind: "device", id: 518_000_100, family: "ipv4", device: "sw-a0" }, SW_A0),
  },
  {
    command: "ip -6 nexthop replace id 518000150 dev sw-a0 proto 151",
    ours: () => replaceNexthop({ kind: "device", id: 518_000_150, family: "ipv6", device: "sw-a0" }, SW_A0),
  },
  {
    command:
      "ip nexthop replace id 518000140 group 518000100/518000101 type resilient buckets 32 idle_timer 0 unbalanced_timer 0 proto 151",
    ours: () => replaceNexthop(group({ id: 518_000_140, weights: [1, 1], resilientBuckets: 32 }), undefined),
  },
  {
    command: "ip nexthop replace id 518000141 group 518000100,1/518000101,3 proto 151",
    ours: () => replaceNexthop(group({ id: 518_000_141, weights: [1, 3], resilientBuckets: undefined }), undefined),
  },
  { command: "ip nexthop del id 518000140", ours: () => removeNexthop(518_000_140) },
  {
    command: "ip route replace 10.2.0.0/16 table 5180 src 198.18.0.1 nhid 518000140 proto 151",
    ours: () => {
      const target = { kind: "nexthop", id: 518_000_140, source: "198.18.0.1" } as const;
      return replaceRoute({ ...ROUTE, destination: "10.2.0.0/16", target }, undefined);
    },
  },
  {
    command: "ip route replace 198.18.0.66/32 table 5180 src 198.18.0.1 dev sw-a0 mtu 1380 proto 151",
    ours: () => {
      const target = { kind: "device", device: "sw-a0", source: "198.18.0.1" } as const;
      return replaceRoute({ ...ROUTE, destination: "198.18.0.66/32", target, mtuBytes: 1380 }, SW_A0);
    },
  },
  {
    command: "ip route replace blackhole 10.2.0.0/16 table 5180 metric 4096 proto 151",
    ours: () => replaceRoute({ ...BLACKHOLE, destination: "10.2.0.0/16" }, undefined),
  },
  {
    command: "ip route replace throw 10.1.0.0/16 table 5180 proto 151",
    ours: () => replaceRoute({ ...ROUTE, destination: "10.1.0.0/16", target: { kind: "throw" } }, undefined),
  },
  {
    command: "ip -6 route replace fd00:2::/64 table 5180 metric 1024 src fd00::1 nhid 518000150 proto 151",
    ours: () => {
      const target = { kind: "nexthop", id: 518_000_150, source: "fd00::1" } as const;
      return replaceRoute({ ...ROUTE, metric: 1024, destination: "fd00:2::/64", target }, undefined);
    },
  },
  {
    command: "ip -6 route replace blackhole fd00:2::/64 table 5180 metric 4096 proto 151",
    ours: () => replaceRoute({ ...BLACKHOLE, destination: "fd00:2::/64" }, undefined),
  },
  {
    command: "ip route del unicast 198.18.0.66/32 table 5180 dev sw-a0",
    ours: () => {
      const target = { kind: "device", device: "sw-a0", source: "198.18.0.1" } as const;
      return removeRoute({ ...ROUTE, destination: "198.18.0.66/32", target }, SW_A0);
    },
  },
  {
    command: "ip route del blackhole 10.2.0.0/16 table 5180 metric 4096",
    ours: () => removeRoute({ ...BLACKHOLE, destination: "10.2.0.0/16" }, undefined),
  },
  {
    command: "ip rule add not fwmark 0x1000/0x1000 lookup 5180 pref 5180 protocol 151",
    ours: () => addRule({ ...RULE, family: "ipv4" }),
  },
  {
    command: "ip -6 rule add not fwmark 0x1000/0x1000 lookup 5180 pref 5180 protocol 151",
    ours: () => addRule({ ...RULE, family: "ipv6" }),
  },
  { command: "ip -6 netconf show dev sw0", ours: () => getIpv6Forwarding(SW0) },
  {
    command: "wg set sw-a0 listen-port 51820 private-key private fwmark 0x1000",
    ours: () =>
      only({
        kind: "set-wireguard-device",
        device: "sw-a0",
        privateKey: PRIVATE_KEY,
        listenPort: 51_820,
        fwmark: 0x1000,
      }),
  },
  {
    command: `wg set sw-a0 peer ${X} preshared-key preshared endpoint 192.0.2.1:51820 persistent-keepalive 20`,
    ours: () =>
      only({
        kind: "add-peer",
        device: "sw-a0",
        publicKey: X,
        presharedKey: new Secret(Buffer.alloc(32, 2)),
        endpoint: "192.0.2.1:51820",
        keepaliveSeconds: 20,
        allowedIps: [],
      }),
  },
  {
    command: `wg set sw-a0 peer ${Y} endpoint [2001:db8::1]:51821 persistent-keepalive 0`,
    ours: () =>
      only({
        kind: "add-peer",
        device: "sw-a0",
        publicKey: Y,
        endpoint: "[2001:db8::1]:51821",
        keepaliveSeconds: 0,
        allowedIps: [],
      }),
  },
  {
    command: `wg set sw-a1 peer ${Y} remove`,
    ours: () => only({ kind: "remove-peer", device: "sw-a1", publicKey: Y }),
  },
])("says what this says: $command", ({ command, ours }) => {
  const [theirs = Buffer.alloc(0)] = recorded("requests.txt", command);
  expect(withoutSequence(endMessage(ours(), 1)).toString("hex")).toBe(withoutSequence(theirs).toString("hex"));
});

test("adds allowed IPs as wg does, but for the flag that would empty the list first", () => {
  const [theirs = Buffer.alloc(0)] = recorded(
    "requests.txt",
    `wg set sw-a0 peer ${X} allowed-ips 10.2.0.0/16,198.18.0.64/26,fd00:2::/64`,
  );
  const allowedIps = ["10.2.0.0/16", "198.18.0.64/26", "fd00:2::/64"];
  const ours = endMessage(only({ kind: "add-allowed-ips", device: "sw-a0", publicKey: X, allowedIps }), 1);
  const replaceAllowedIps = "0800030002000000";
  const updateOnly = "0800030004000000";
  const expected = withoutSequence(theirs).toString("hex").replace(replaceAllowedIps, updateOnly);
  expect(withoutSequence(ours).toString("hex")).toBe(expected);
});

test("asks for a counter as nft does when it resets one, but for the verb and an empty attribute", () => {
  const [theirs = Buffer.alloc(0)] = recorded("requests.txt", "nft reset counter inet spanwire denied");
  const parts = (message: Buffer) => {
    const attributes: string[] = [];
    // nft leaves in the padding what was there.
    forEachAttribute(message, 20, message.length, (type, start, end) => {
      attributes.push(`${type} ${message.toString("hex", start, end)}`);
    });
    return { verb: message.readUInt16LE(4), header: message.toString("hex", 16, 20), attributes };
  };
  const ours = parts(endMessage(getCounter("spanwire", "denied"), 1));
  const emptyData = "4 ";
  const asReset = { ...ours, verb: ours.verb + 2, attributes: [...ours.attributes, emptyData] }; // NFT_MSG_GETOBJ_RESET
  expect(asReset).toEqual(parts(theirs));
});

function only(change: Parameters<typeof encodeDeviceChange>[1]): AttributeWriter {
  const [message, ...others] = encodeDeviceChange(WIREGUARD_FAMILY_ID, change, { kind: "flag" });
  if (message === undefined || others.length > 0) throw new Error("expected one message");
  return message;
}

function group({
  id,
  weights,
  resilientBuckets,
}: {
  id: number;
  weights: number[];
  resilientBuckets: number | undefined;
}) {
  const members = weights.map((weight, index) => ({ id: 518_000_100 + index, weight }));
  return { kind: "group", id, members, resilientBuckets } as const;
}

/** Sequence number and port id differ from call to call. */
function withoutSequence(message: Buffer): Buffer {
  return Buffer.from(message).fill(0, 8, 16);
}
