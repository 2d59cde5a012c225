/**
 * @module A change as the text of WireGuard's cross-platform configuration protocol (wireguard.com/xplatform). It is
 * assembled as bytes, not as a string, so that keys can be zeroed after they were sent.
 */
import type { DeviceChange } from "../change.ts";
import { toHex } from "./hex.ts";

/** The whole request, empty line included, for the caller to zero. Never with replace_peers or replace_allowed_ips. */
export function encodeSet(change: DeviceChange): Buffer {
  const parts = [Buffer.from("set=1\n"), ...lines(change), Buffer.from("\n")];
  const request = Buffer.concat(parts);
  for (const part of parts) part.fill(0);
  return request;
}

function lines(change: DeviceChange): Uint8Array[] {
  const update = ({ publicKey }: { readonly publicKey: string }, ...settings: readonly Uint8Array[]) => [
    peer(publicKey),
    line("update_only", "true"),
    ...settings,
  ];
  switch (change.kind) {
    case "set-wireguard-device":
      return [
        ...(change.privateKey === undefined ? [] : secretLine("private_key", change.privateKey.reveal())),
        ...(change.listenPort === undefined ? [] : [line("listen_port", change.listenPort)]),
        ...(change.fwmark === undefined ? [] : [line("fwmark", change.fwmark)]),
      ];
    case "add-peer":
      return [
        peer(change.publicKey),
        ...(change.presharedKey === undefined ? [] : secretLine("preshared_key", change.presharedKey.reveal())),
        ...(change.endpoint === undefined ? [] : [line("endpoint", change.endpoint)]),
        line("persistent_keepalive_interval", change.keepaliveSeconds),
        ...change.allowedIps.map((prefix) => line("allowed_ip", prefix)),
      ];
    case "remove-peer":
      return [peer(change.publicKey), line("remove", "true")];
    case "add-allowed-ips":
      return update(change, ...change.allowedIps.map((prefix) => line("allowed_ip", prefix)));
    case "remove-allowed-ips":
      return update(change, ...change.allowedIps.map((prefix) => line("allowed_ip", `-${prefix}`)));
    case "set-endpoint":
      return update(change, line("endpoint", change.endpoint));
    case "set-keepalive":
      return update(change, line("persistent_keepalive_interval", change.keepaliveSeconds));
    case "set-preshared-key":
      return update(change, ...secretLine("preshared_key", change.presharedKey?.reveal() ?? new Uint8Array(32)));
    default:
      return change satisfies never;
  }
}

function peer(publicKey: string): Uint8Array {
  return line("public_key", Buffer.from(publicKey, "base64").toString("hex"));
}

function line(key: string, value: string | number): Uint8Array {
  return Buffer.from(`${key}=${value}\n`);
}

function secretLine(key: string, value: Uint8Array): Uint8Array[] {
  return [Buffer.from(`${key}=`), toHex(value), Buffer.from("\n")];
}
