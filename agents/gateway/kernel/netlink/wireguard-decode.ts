/**
 * @module WG_CMD_GET_DEVICE: one device from as many messages as the kernel needs. Only the first holds the device's own
 * attributes; a peer whose allowed IPs do not fit goes on in the next message, with its key and the rest of them only.
 */
import { formatEndpoint } from "../endpoint.ts";
import { ADDRESS_BYTES, ipFromBytes } from "../ip-bytes.ts";
import type { ObservedPeer, ObservedWireGuard } from "../port.ts";
import { forEachAttribute } from "./attributes.ts";
import { findFamily } from "./family.ts";
import { GENERIC_HEADER_BYTES } from "./generic-messages.ts";
import type { Message } from "./message.ts";
import { ALLOWED_IP, DEVICE, PEER } from "./wireguard-attributes.ts";

export interface DeviceReader {
  read(message: Message, buffer: Buffer): void;
  finish(): ObservedWireGuard;
}

/** Collects the messages of one dump. The private key and preshared keys are looked at, never copied. */
export function createDeviceReader(name: string): DeviceReader {
  let listenPort = 0;
  let fwmark = 0;
  let publicKey: string | undefined;
  const peers: PeerDraft[] = [];

  return {
    read: (message, buffer) => {
      forEachAttribute(buffer, message.start + GENERIC_HEADER_BYTES, message.end, (type, start, end) => {
        if (type === DEVICE.listenPort) listenPort = buffer.readUInt16LE(start);
        else if (type === DEVICE.fwmark) fwmark = buffer.readUInt32LE(start);
        else if (type === DEVICE.publicKey) publicKey = buffer.toString("base64", start, end);
        else if (type === DEVICE.peers)
          forEachAttribute(buffer, start, end, (_, from, to) => readPeer(buffer, from, to, peers));
      });
    },
    finish: () => {
      for (const peer of peers) peer.allowedIps.sort();
      peers.sort((a, b) => (a.publicKey < b.publicKey ? -1 : 1));
      return { name, listenPort, fwmark, publicKey, peers };
    },
  };
}

type PeerDraft = { -readonly [K in keyof ObservedPeer]: ObservedPeer[K] } & { readonly allowedIps: string[] };

function readPeer(buffer: Buffer, from: number, to: number, peers: PeerDraft[]): void {
  const peer = emptyPeer();
  forEachAttribute(buffer, from, to, (type, start, end) => {
    if (type === PEER.publicKey) peer.publicKey = buffer.toString("base64", start, end);
    else if (type === PEER.presharedKey) peer.hasPresharedKey = !isZero(buffer, start, end);
    else if (type === PEER.endpoint) peer.endpoint = readEndpoint(buffer, start);
    else if (type === PEER.keepalive) peer.keepaliveSeconds = buffer.readUInt16LE(start);
    else if (type === PEER.lastHandshake) peer.lastHandshakeMs = readTime(buffer, start);
    else if (type === PEER.rxBytes) peer.rxBytes = Number(buffer.readBigUInt64LE(start));
    else if (type === PEER.txBytes) peer.txBytes = Number(buffer.readBigUInt64LE(start));
    else if (type === PEER.allowedIps) readAllowedIps(buffer, start, end, peer.allowedIps);
  });
  const previous = peers.at(-1);
  if (previous?.publicKey === peer.publicKey) previous.allowedIps.push(...peer.allowedIps);
  else peers.push(peer);
}

function readAllowedIps(buffer: Buffer, from: number, to: number, into: string[]): void {
  forEachAttribute(buffer, from, to, (_, itemStart, itemEnd) => {
    let family: ReturnType<typeof findFamily>;
    let address = 0;
    let length = 0;
    let bits = 0;
    forEachAttribute(buffer, itemStart, itemEnd, (type, start, end) => {
      if (type === ALLOWED_IP.family) family = findFamily(buffer.readUInt16LE(start));
      else if (type === ALLOWED_IP.bits) bits = buffer.readUInt8(start);
      else if (type === ALLOWED_IP.address) {
        address = start;
        length = end - start;
      }
    });
    if (family === undefined || length !== ADDRESS_BYTES[family]) return;
    into.push(`${ipFromBytes(buffer, address, family)}/${bits}`);
  });
}

/** struct sockaddr_in or sockaddr_in6; the port in network order. */
function readEndpoint(buffer: Buffer, start: number): string | undefined {
  const family = findFamily(buffer.readUInt16LE(start));
  if (family === undefined) return undefined;
  const host = ipFromBytes(buffer, start + (family === "ipv4" ? 4 : 8), family);
  return formatEndpoint({ host, port: buffer.readUInt16BE(start + 2) });
}

/** struct __kernel_timespec; zero means never. */
function readTime(buffer: Buffer, start: number): number | undefined {
  const ms = Number(buffer.readBigInt64LE(start)) * 1000 + Math.floor(Number(buffer.readBigInt64LE(start + 8)) / 1e6);
  return ms === 0 ? undefined : ms;
}

function isZero(buffer: Buffer, start: number, end: number): boolean {
  for (let offset = start; offset < end; offset++) if (buffer[offset] !== 0) return false;
  return true;
}

function emptyPeer(): PeerDraft {
  return {
    publicKey: "",
    hasPresharedKey: false,
    endpoint: undefined,
    keepaliveSeconds: 0,
    lastHandshakeMs: undefined,
    rxBytes: 0,
    txBytes: 0,
    allowedIps: [],
  };
}
