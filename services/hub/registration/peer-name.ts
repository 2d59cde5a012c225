/** @module The name under which a peer is limited: its address, or the /64 that one IPv6 host has to itself. */
import { cidrFrom } from "@spanwire/core/address/cidr";
import { readIp } from "@spanwire/core/address/ip";

const HOST_BITS = { ipv4: 32, ipv6: 64 } as const;
const IPV4_MAPPED = /^::ffff:(?=\d+\.)/i;

/** `peer` is `address:port`, as grpc-js gives it: without brackets also for IPv6. What cannot be read is one name. */
export function peerName(peer: string): string {
  const address = peer.slice(0, peer.lastIndexOf(":")).replace(IPV4_MAPPED, "");
  const read = readIp(address);
  return read.ok ? cidrFrom(read.ip, HOST_BITS[read.ip.family]).text : "unknown";
}
