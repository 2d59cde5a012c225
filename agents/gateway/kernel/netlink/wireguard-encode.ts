/**
 * @module WG_CMD_SET_DEVICE: each change as the messages that perform it, in order. No message ever carries
 * WGDEVICE_F_REPLACE_PEERS or WGPEER_F_REPLACE_ALLOWEDIPS: between the removal and the addition packets are lost.
 */
import type { DeviceChange } from "../change.ts";
import { parseEndpoint } from "../endpoint.ts";
import { familyOf, ipToBytes, prefixToBytes } from "../ip-bytes.ts";
import type { AttributeWriter } from "./attributes.ts";
import { FAMILY } from "./family.ts";
import { genericHeader } from "./generic-messages.ts";
import { beginMessage, FLAG } from "./message.ts";
import {
  ALLOWED_IP,
  ALLOWED_IP_FLAG,
  COMMAND,
  DEVICE,
  PEER,
  PEER_FLAG,
  WIREGUARD_VERSION,
} from "./wireguard-attributes.ts";

/** An attribute holds at most 64 KiB; this many IPv6 prefixes are 10 KiB. */
const PREFIXES_PER_MESSAGE = 256;
const NO_KEY = new Uint8Array(32);

/** How a prefix is taken from a peer: Linux 6.16 has a flag for it; before, a peer that is not real takes it along. */
export type RemovalMethod = { readonly kind: "flag" } | { readonly kind: "dummy-peer"; readonly key: Uint8Array };

/** Lists the messages of one change, to be sent in this order: a new peer's first message creates it. */
export function encodeDeviceChange(family: number, change: DeviceChange, removal: RemovalMethod): AttributeWriter[] {
  const message = () => setDevice(family, change.device);
  const update = (publicKey: string, write: (peer: AttributeWriter) => void) => [
    withPeer(message(), publicKey, PEER_FLAG.updateOnly, write),
  ];
  switch (change.kind) {
    case "set-wireguard-device": {
      const writer = message();
      if (change.privateKey !== undefined) writer.bytes(DEVICE.privateKey, change.privateKey.reveal());
      if (change.listenPort !== undefined) writer.u16(DEVICE.listenPort, change.listenPort);
      if (change.fwmark !== undefined) writer.u32(DEVICE.fwmark, change.fwmark);
      return [writer];
    }
    case "add-peer": {
      const [first = [], ...rest] = chunks(change.allowedIps);
      const creation = withPeer(message(), change.publicKey, 0, (peer) => {
        if (change.presharedKey !== undefined) peer.bytes(PEER.presharedKey, change.presharedKey.reveal());
        if (change.endpoint !== undefined) peer.bytes(PEER.endpoint, encodeEndpoint(change.endpoint));
        peer.u16(PEER.keepalive, change.keepaliveSeconds);
        writeAllowedIps(peer, first);
      });
      return [creation, ...rest.flatMap((chunk) => update(change.publicKey, (peer) => writeAllowedIps(peer, chunk)))];
    }
    case "remove-peer":
      return [withPeer(message(), change.publicKey, PEER_FLAG.removeMe, () => {})];
    case "add-allowed-ips":
      return chunks(change.allowedIps).flatMap((chunk) =>
        update(change.publicKey, (peer) => writeAllowedIps(peer, chunk)),
      );
    case "remove-allowed-ips":
      if (removal.kind === "flag") {
        return chunks(change.allowedIps).flatMap((chunk) =>
          update(change.publicKey, (peer) => writeAllowedIps(peer, chunk, ALLOWED_IP_FLAG.removeMe)),
        );
      }
      return chunks(change.allowedIps).map((chunk) => throughDummyPeer(message(), removal.key, chunk));
    case "set-endpoint":
      return update(change.publicKey, (peer) => peer.bytes(PEER.endpoint, encodeEndpoint(change.endpoint)));
    case "set-keepalive":
      return update(change.publicKey, (peer) => peer.u16(PEER.keepalive, change.keepaliveSeconds));
    case "set-preshared-key":
      return update(change.publicKey, (peer) => peer.bytes(PEER.presharedKey, change.presharedKey?.reveal() ?? NO_KEY));
    default:
      return change satisfies never;
  }
}

export function getDevice(family: number, device: string): AttributeWriter {
  return beginMessage(family, FLAG.dump, genericHeader(COMMAND.getDevice, WIREGUARD_VERSION)).text(DEVICE.name, device);
}

function setDevice(family: number, device: string): AttributeWriter {
  return beginMessage(family, FLAG.ack, genericHeader(COMMAND.setDevice, WIREGUARD_VERSION)).text(DEVICE.name, device);
}

function withPeer(
  message: AttributeWriter,
  publicKey: string,
  flags: number,
  write: (peer: AttributeWriter) => void,
): AttributeWriter {
  return message.nest(DEVICE.peers, (peers) =>
    peers.nest(0, (peer) => {
      peer.bytes(PEER.publicKey, Buffer.from(publicKey, "base64"));
      if (flags !== 0) peer.u32(PEER.flags, flags);
      write(peer);
    }),
  );
}

/**
 * Takes prefixes away without touching their owner's other ones: a made-up peer claims them and is removed, in one
 * message, so under one lock of the device. It takes them from whoever owns them: the caller checks.
 */
function throughDummyPeer(message: AttributeWriter, key: Uint8Array, prefixes: readonly string[]): AttributeWriter {
  return message.nest(DEVICE.peers, (peers) => {
    peers.nest(0, (peer) => writeAllowedIps(peer.bytes(PEER.publicKey, key), prefixes));
    peers.nest(0, (peer) => peer.bytes(PEER.publicKey, key).u32(PEER.flags, PEER_FLAG.removeMe));
  });
}

function writeAllowedIps(peer: AttributeWriter, prefixes: readonly string[], flags = 0): void {
  if (prefixes.length === 0) return;
  peer.nest(PEER.allowedIps, (list) => {
    for (const prefix of prefixes) {
      const { family, bytes, bits } = prefixToBytes(prefix);
      list.nest(0, (item) => {
        item.u16(ALLOWED_IP.family, FAMILY[family]).bytes(ALLOWED_IP.address, bytes).u8(ALLOWED_IP.bits, bits);
        if (flags !== 0) item.u32(ALLOWED_IP.flags, flags);
      });
    }
  });
}

/** struct sockaddr_in or sockaddr_in6 */
function encodeEndpoint(text: string): Uint8Array {
  const { host, port } = parseEndpoint(text);
  const family = familyOf(host);
  const bytes = Buffer.alloc(family === "ipv4" ? 16 : 28);
  bytes.writeUInt16LE(FAMILY[family], 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipToBytes(host), family === "ipv4" ? 4 : 8);
  return bytes;
}

function chunks(prefixes: readonly string[]): readonly (readonly string[])[] {
  const result: string[][] = [];
  for (let start = 0; start < prefixes.length; start += PREFIXES_PER_MESSAGE) {
    result.push(prefixes.slice(start, start + PREFIXES_PER_MESSAGE));
  }
  return result;
}
