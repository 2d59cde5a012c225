import fc from "fast-check";
import { expect, test } from "vitest";
import { ADDRESS_BYTES, prefixToBytes } from "../ip-bytes.ts";
import type { AttributeWriter } from "./attributes.ts";
import { FAMILY } from "./family.ts";
import { genericHeader } from "./generic-messages.ts";
import { beginMessage, endMessage, messagesIn } from "./message.ts";
import { ALLOWED_IP, DEVICE, PEER } from "./wireguard-attributes.ts";
import { createDeviceReader } from "./wireguard-decode.ts";

interface DumpedPeer {
  readonly publicKey: string;
  readonly keepaliveSeconds: number;
  readonly handshake: { readonly seconds: bigint; readonly nanoseconds: bigint };
  readonly rxBytes: bigint;
  readonly allowedIps: readonly string[];
}

/**
 * Dumps a device as the kernel does (drivers/net/wireguard/netlink.c, wg_get_device_dump): `room` allowed IPs fit into a
 * message; the first has the device's attributes; a peer that goes on has its key and the rest of its allowed IPs.
 */
function dump(peers: readonly DumpedPeer[], room: number): Buffer[] {
  const messages: AttributeWriter[] = [];
  let queue = peers.map((peer) => ({ peer, rest: peer.allowedIps, isNew: true }));
  do {
    const message = beginMessage(0x20, 0, genericHeader(0, 1)).text(DEVICE.name, "sw-a0");
    if (messages.length === 0) {
      message.bytes(DEVICE.privateKey, Buffer.alloc(32, 1)).bytes(DEVICE.publicKey, Buffer.alloc(32, 9));
      message.u16(DEVICE.listenPort, 51_820).u32(DEVICE.fwmark, 0x1000);
    }
    let left = room;
    const later: typeof queue = [];
    message.nest(DEVICE.peers, (list) => {
      for (const { peer, rest, isNew } of queue) {
        if (left <= 0) later.push({ peer, rest, isNew });
        else {
          list.nest(0, (attributes) => writePeer(attributes, { peer, isNew, allowedIps: rest.slice(0, left) }));
          if (rest.length > left) later.push({ peer, rest: rest.slice(left), isNew: false });
          left -= rest.length + 1;
        }
      }
    });
    messages.push(message);
    queue = later;
  } while (queue.length > 0);
  return messages.map((message) => Buffer.from(endMessage(message, 1)));
}

function writePeer(
  attributes: AttributeWriter,
  { peer, isNew, allowedIps }: { peer: DumpedPeer; isNew: boolean; allowedIps: readonly string[] },
): void {
  attributes.bytes(PEER.publicKey, Buffer.from(peer.publicKey, "base64"));
  if (isNew) {
    attributes.bytes(PEER.presharedKey, Buffer.alloc(32)).u16(PEER.keepalive, peer.keepaliveSeconds);
    attributes.bytes(PEER.lastHandshake, u64(peer.handshake.seconds, peer.handshake.nanoseconds));
    attributes.bytes(PEER.rxBytes, u64(peer.rxBytes)).bytes(PEER.txBytes, u64(0n));
  }
  if (allowedIps.length === 0) return;
  attributes.nest(PEER.allowedIps, (list) => {
    for (const prefix of allowedIps) {
      const { family, bytes, bits } = prefixToBytes(prefix);
      list.nest(0, (item) =>
        item.u16(ALLOWED_IP.family, FAMILY[family]).bytes(ALLOWED_IP.address, bytes).u8(ALLOWED_IP.bits, bits),
      );
    }
  });
}

function u64(...values: readonly bigint[]): Buffer {
  return Buffer.from(BigUint64Array.from(values).buffer);
}

function decode(datagrams: readonly Buffer[]) {
  const reader = createDeviceReader("sw-a0");
  for (const datagram of datagrams)
    for (const message of messagesIn(datagram, datagram.length)) reader.read(message, datagram);
  return reader.finish();
}

const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("base64"));
const anyPrefix = fc.oneof(
  fc
    .uint8Array({ minLength: ADDRESS_BYTES.ipv4, maxLength: ADDRESS_BYTES.ipv4 })
    .map((bytes) => `${bytes.join(".")}/32`),
  fc.integer({ min: 1, max: 0xffff }).map((group) => `2001:db8:${group.toString(16)}::/48`),
);
const anyPeer = fc.record({
  publicKey: anyKey,
  keepaliveSeconds: fc.integer({ min: 0, max: 65_535 }),
  handshake: fc.record({
    seconds: fc.bigInt({ min: 0n, max: 4_000_000_000n }),
    nanoseconds: fc.bigInt({ min: 0n, max: 999_999_999n }),
  }),
  rxBytes: fc.bigInt({ min: 0n, max: 2n ** 50n }),
  allowedIps: fc.uniqueArray(anyPrefix, { maxLength: 40 }),
});

test("puts a device together however the kernel cuts it into messages", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(anyPeer, { selector: ({ publicKey }) => publicKey, maxLength: 30 }),
      fc.integer({ min: 1, max: 100 }),
      (peers, room) => {
        const device = decode(dump(peers, room));
        expect(device).toMatchObject({ listenPort: 51_820, fwmark: 0x1000 });
        expect(device.publicKey).toBe(Buffer.alloc(32, 9).toString("base64"));
        const sorted = peers.toSorted((a, b) => (a.publicKey < b.publicKey ? -1 : 1));
        expect(device.peers).toEqual(
          sorted.map(({ publicKey, keepaliveSeconds, handshake, rxBytes, allowedIps }) => {
            const ms = Number(handshake.seconds * 1000n + handshake.nanoseconds / 1_000_000n);
            return {
              publicKey,
              hasPresharedKey: false,
              endpoint: undefined,
              keepaliveSeconds,
              lastHandshakeMs: ms === 0 ? undefined : ms,
              rxBytes: Number(rxBytes),
              txBytes: 0,
              allowedIps: allowedIps.toSorted(),
            };
          }),
        );
      },
    ),
  );
});

test("puts 1,000 peers with ten prefixes each together", () => {
  const peers = Array.from({ length: 1000 }, (_, n) => ({
    publicKey: Buffer.from(n.toString(16).padStart(64, "0"), "hex").toString("base64"),
    keepaliveSeconds: 20,
    handshake: { seconds: 1n, nanoseconds: 0n },
    rxBytes: 1n,
    allowedIps: Array.from({ length: 10 }, (_, m) => `10.${n >> 2}.${(n & 3) * 10 + m}.0/24`),
  }));
  const messages = dump(peers, 190);
  expect(messages.length).toBeGreaterThan(50);
  const device = decode(messages);
  expect(device.peers.length).toBe(1000);
  expect(device.peers.flatMap(({ allowedIps }) => allowedIps).length).toBe(10_000);
});
