/** @module The address and the port of a peer, as grpc-js writes it: without brackets also for IPv6. */
import { readIp } from "../address/ip.ts";

const IPV4_MAPPED = /^::ffff:(?=\d+\.)/i;

export function splitAddress(peer: string): { readonly ip: string | undefined; readonly port: number | undefined } {
  const at = peer.lastIndexOf(":");
  const ip = peer.slice(0, Math.max(0, at)).replace(IPV4_MAPPED, "");
  const port = Number(peer.slice(at + 1));
  return readIp(ip).ok ? { ip, port: Number.isInteger(port) ? port : undefined } : { ip: undefined, port: undefined };
}
