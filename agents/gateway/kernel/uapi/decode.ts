/** @module The answer to "get=1" of WireGuard's cross-platform configuration protocol, as an observation. */
import { Secret } from "@spanwire/core/identity/secret";
import { wireGuardPublicKey } from "@spanwire/runtime/crypto/wireguard-key";
import { by } from "../by.ts";
import type { ObservedPeer, ObservedWireGuard } from "../port.ts";
import { fromHex } from "./hex.ts";

const NEWLINE = 0x0a;
const EQUALS = 0x3d;
const ZERO_DIGIT = 0x30;

type PeerDraft = { -readonly [K in keyof ObservedPeer]: ObservedPeer[K] } & { readonly allowedIps: string[] };

/** The private key is used for the public one, which the protocol does not tell, and zeroed; the answer is the caller's. */
export function decodeDevice(name: string, answer: Buffer): ObservedWireGuard {
  let listenPort = 0;
  let fwmark = 0;
  let publicKey: string | undefined;
  const peers: PeerDraft[] = [];
  for (const [key, value] of keyValues(answer)) {
    const peer = peers.at(-1);
    if (key === "private_key") publicKey = derivePublicKey(value);
    else if (key === "listen_port") listenPort = Number(value);
    else if (key === "fwmark") fwmark = Number(value);
    else if (key === "public_key") peers.push(emptyPeer(fromHex(value).toString("base64")));
    else if (peer !== undefined) readPeerLine(peer, key, value);
  }
  for (const peer of peers) peer.allowedIps.sort();
  return { name, listenPort, fwmark, publicKey, peers: peers.sort(by((peer) => peer.publicKey)) };
}

/** The number after "errno=": 0, or negative. Undefined when the answer was cut off. */
export function decodeErrno(answer: Buffer): number | undefined {
  for (const [key, value] of keyValues(answer)) if (key === "errno") return Number(value);
  return undefined;
}

function readPeerLine(peer: PeerDraft, key: string, value: Buffer): void {
  switch (key) {
    case "preshared_key":
      peer.hasPresharedKey = value.some((code) => code !== ZERO_DIGIT);
      break;
    case "endpoint":
      peer.endpoint = value.toString();
      break;
    case "persistent_keepalive_interval":
      peer.keepaliveSeconds = Number(value);
      break;
    case "last_handshake_time_sec":
      if (Number(value) !== 0) peer.lastHandshakeMs = Number(value) * 1000;
      break;
    case "last_handshake_time_nsec": // comes after the seconds
      if (peer.lastHandshakeMs !== undefined) peer.lastHandshakeMs += Math.floor(Number(value) / 1e6);
      break;
    case "rx_bytes":
      peer.rxBytes = Number(value);
      break;
    case "tx_bytes":
      peer.txBytes = Number(value);
      break;
    case "allowed_ip":
      peer.allowedIps.push(value.toString());
      break;
  }
}

function derivePublicKey(hex: Buffer): string {
  const bytes = fromHex(hex);
  try {
    return wireGuardPublicKey(new Secret(bytes));
  } finally {
    bytes.fill(0);
  }
}

function* keyValues(answer: Buffer): Generator<readonly [key: string, value: Buffer]> {
  for (let start = 0; start < answer.length; ) {
    const newline = answer.indexOf(NEWLINE, start);
    if (newline === -1) return;
    const equals = answer.indexOf(EQUALS, start);
    if (equals !== -1 && equals < newline) {
      yield [answer.toString("latin1", start, equals), answer.subarray(equals + 1, newline)];
    }
    start = newline + 1;
  }
}

function emptyPeer(publicKey: string): PeerDraft {
  return {
    publicKey,
    hasPresharedKey: false,
    endpoint: undefined,
    keepaliveSeconds: 0,
    lastHandshakeMs: undefined,
    rxBytes: 0,
    txBytes: 0,
    allowedIps: [],
  };
}
