import { expect, test } from "vitest";
import type { DeviceChange } from "../change.ts";
import { forEachAttribute } from "./attributes.ts";
import { endMessage, HEADER_BYTES } from "./message.ts";
import { ALLOWED_IP, DEVICE, PEER } from "./wireguard-attributes.ts";
import { encodeDeviceChange, type RemovalMethod } from "./wireguard-encode.ts";

const X = Buffer.alloc(32, 3).toString("base64");
const DUMMY = { kind: "dummy-peer", key: Buffer.alloc(32, 7) } as const;
const PREFIXES = Array.from({ length: 700 }, (_, n) => `10.${n >> 8}.${n & 255}.0/24`);

interface SentPeer {
  key: number;
  flags: number;
  keepalive: boolean;
  allowedIps: number;
  allowedIpFlags: number;
}

/** The peers of each message that a change becomes. */
function peersSent(change: DeviceChange, removal: RemovalMethod = { kind: "flag" }): SentPeer[][] {
  return encodeDeviceChange(0x20, change, removal).map((writer) => {
    const message = endMessage(writer, 1);
    const peers: SentPeer[] = [];
    forEachAttribute(message, HEADER_BYTES + 4, message.length, (type, start, end) => {
      if (type !== DEVICE.peers) return;
      forEachAttribute(message, start, end, (_, from, to) => peers.push(readPeer(message, from, to)));
    });
    return peers;
  });
}

function readPeer(message: Buffer, from: number, to: number): SentPeer {
  const peer: SentPeer = { key: 0, flags: 0, keepalive: false, allowedIps: 0, allowedIpFlags: 0 };
  forEachAttribute(message, from, to, (type, start, end) => {
    if (type === PEER.publicKey) peer.key = message[start] ?? 0;
    if (type === PEER.flags) peer.flags = message.readUInt32LE(start);
    if (type === PEER.keepalive) peer.keepalive = true;
    if (type !== PEER.allowedIps) return;
    forEachAttribute(message, start, end, (_, itemStart, itemEnd) => {
      peer.allowedIps += 1;
      forEachAttribute(message, itemStart, itemEnd, (kind, at) => {
        if (kind === ALLOWED_IP.flags) peer.allowedIpFlags = message.readUInt32LE(at);
      });
    });
  });
  return peer;
}

test("a peer with many prefixes is made by the first message and only added to by the others", () => {
  const change = {
    kind: "add-peer",
    device: "sw-a0",
    publicKey: X,
    keepaliveSeconds: 20,
    allowedIps: PREFIXES,
  } as const;
  const updateOnly = 4;
  expect(peersSent(change)).toEqual([
    [{ key: 3, flags: 0, keepalive: true, allowedIps: 256, allowedIpFlags: 0 }],
    [{ key: 3, flags: updateOnly, keepalive: false, allowedIps: 256, allowedIpFlags: 0 }],
    [{ key: 3, flags: updateOnly, keepalive: false, allowedIps: 188, allowedIpFlags: 0 }],
  ]);
});

test("removes prefixes by their flag where the kernel has it", () => {
  const change = {
    kind: "remove-allowed-ips",
    device: "sw-a0",
    publicKey: X,
    allowedIps: PREFIXES.slice(0, 2),
  } as const;
  expect(peersSent(change)).toEqual([[{ key: 3, flags: 4, keepalive: false, allowedIps: 2, allowedIpFlags: 1 }]]);
});

test("removes prefixes through a peer that comes and goes in one message where it has not", () => {
  const change = { kind: "remove-allowed-ips", device: "sw-a0", publicKey: X, allowedIps: PREFIXES } as const;
  const messages = peersSent(change, DUMMY);
  expect(messages.map((peers) => peers.map(({ allowedIps }) => allowedIps))).toEqual([
    [256, 0],
    [256, 0],
    [188, 0],
  ]);
  const removeMe = 1;
  for (const peers of messages) {
    expect(peers.map(({ key, flags }) => ({ key, flags }))).toEqual([
      { key: 7, flags: 0 },
      { key: 7, flags: removeMe },
    ]);
  }
});

test("no change is no message", () => {
  const nothing = { device: "sw-a0", publicKey: X, allowedIps: [] } as const;
  expect(peersSent({ ...nothing, kind: "add-allowed-ips" })).toEqual([]);
  expect(peersSent({ ...nothing, kind: "remove-allowed-ips" }, DUMMY)).toEqual([]);
});
