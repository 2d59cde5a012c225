import { Secret } from "@spanwire/core/identity/secret";
import { generateWireGuardKey } from "@spanwire/runtime/crypto/wireguard-key";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { DeviceChange } from "../change.ts";
import { decodeDevice, decodeErrno } from "./decode.ts";
import { encodeSet } from "./encode.ts";
import { fromHex, toHex } from "./hex.ts";

const X = Buffer.alloc(32, 3).toString("base64");
const PEER = { device: "sw-a0", publicKey: X } as const;
const KEY = new Secret(Buffer.alloc(32, 2));

test.each<{ change: DeviceChange; want: readonly string[] }>([
  {
    change: { kind: "set-wireguard-device", device: "sw-a0", privateKey: KEY, listenPort: 51_820, fwmark: 4096 },
    want: [`private_key=${"02".repeat(32)}`, "listen_port=51820", "fwmark=4096"],
  },
  { change: { kind: "set-wireguard-device", device: "sw-a0", fwmark: 0 }, want: ["fwmark=0"] },
  {
    change: {
      ...PEER,
      kind: "add-peer",
      presharedKey: KEY,
      endpoint: "[2001:db8::1]:51820",
      keepaliveSeconds: 20,
      allowedIps: ["10.2.0.0/16", "fd00:2::/64"],
    },
    want: [
      `public_key=${"03".repeat(32)}`,
      `preshared_key=${"02".repeat(32)}`,
      "endpoint=[2001:db8::1]:51820",
      "persistent_keepalive_interval=20",
      "allowed_ip=10.2.0.0/16",
      "allowed_ip=fd00:2::/64",
    ],
  },
  { change: { ...PEER, kind: "remove-peer" }, want: [`public_key=${"03".repeat(32)}`, "remove=true"] },
  {
    change: { ...PEER, kind: "add-allowed-ips", allowedIps: ["10.2.0.0/16"] },
    want: [`public_key=${"03".repeat(32)}`, "update_only=true", "allowed_ip=10.2.0.0/16"],
  },
  {
    change: { ...PEER, kind: "remove-allowed-ips", allowedIps: ["10.2.0.0/16"] },
    want: [`public_key=${"03".repeat(32)}`, "update_only=true", "allowed_ip=-10.2.0.0/16"],
  },
  {
    change: { ...PEER, kind: "set-preshared-key", presharedKey: undefined },
    want: [`public_key=${"03".repeat(32)}`, "update_only=true", `preshared_key=${"00".repeat(32)}`],
  },
])("asks for $change.kind", ({ change, want }) => {
  expect(encodeSet(change).toString()).toBe(["set=1", ...want, "", ""].join("\n"));
});

test("reads a device, and derives the public key that the protocol does not tell", () => {
  const { privateKey, publicKey } = generateWireGuardKey();
  const answer = Buffer.from(
    [
      `private_key=${toHex(privateKey.reveal())}`,
      "listen_port=51820",
      "fwmark=4096",
      `public_key=${"03".repeat(32)}`,
      `preshared_key=${"00".repeat(32)}`,
      "protocol_version=1",
      "endpoint=192.0.2.1:51821",
      "last_handshake_time_sec=1700000000",
      "last_handshake_time_nsec=123456789",
      "tx_bytes=1",
      "rx_bytes=2",
      "persistent_keepalive_interval=20",
      "allowed_ip=fd00:2::/64",
      "allowed_ip=10.2.0.0/16",
      `public_key=${"01".repeat(32)}`,
      `preshared_key=${"05".repeat(32)}`,
      "last_handshake_time_sec=0",
      "last_handshake_time_nsec=0",
      "errno=0",
      "",
      "",
    ].join("\n"),
  );
  expect(decodeErrno(answer)).toBe(0);
  expect(decodeDevice("sw-a0", answer)).toEqual({
    name: "sw-a0",
    listenPort: 51_820,
    fwmark: 4096,
    publicKey,
    peers: [
      {
        publicKey: Buffer.alloc(32, 1).toString("base64"),
        hasPresharedKey: true,
        endpoint: undefined,
        keepaliveSeconds: 0,
        lastHandshakeMs: undefined,
        rxBytes: 0,
        txBytes: 0,
        allowedIps: [],
      },
      {
        publicKey: X,
        hasPresharedKey: false,
        endpoint: "192.0.2.1:51821",
        keepaliveSeconds: 20,
        lastHandshakeMs: 1_700_000_000_123,
        rxBytes: 2,
        txBytes: 1,
        allowedIps: ["10.2.0.0/16", "fd00:2::/64"],
      },
    ],
  });
});

test("an answer that was cut off has no errno", () => {
  expect(decodeErrno(Buffer.from("listen_port=1\nerr"))).toBeUndefined();
});

test("hexadecimal there and back", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(fromHex(toHex(bytes))).toEqual(Buffer.from(bytes));
    }),
  );
  expect(() => fromHex(Buffer.from("abc"))).toThrow(RangeError);
  expect(() => fromHex(Buffer.from("zz"))).toThrow(RangeError);
});
