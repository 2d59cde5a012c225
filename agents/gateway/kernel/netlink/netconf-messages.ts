/**
 * @module RTM_GETNETCONF (linux/netconf.h): whether the host forwards IPv6, as the socket's own network namespace has it.
 * A device's IPv4 setting is part of its link (link-messages.ts).
 */
import { type AttributeWriter, forEachAttribute } from "./attributes.ts";
import { FAMILY } from "./family.ts";
import { beginMessage, FLAG, type Message } from "./message.ts";

const RTM_NEWNETCONF = 80;
const RTM_GETNETCONF = 82;
const NETCONFA_IFINDEX = 1;
const NETCONFA_FORWARDING = 2;
/** NETCONFA_IFINDEX_ALL (-1): net.ipv6.conf.all */
export const ALL_DEVICES = 0xffff_ffff;

export function getIpv6Forwarding(index: number): AttributeWriter {
  const netconfmsg = Uint8Array.of(FAMILY.ipv6);
  return beginMessage(RTM_GETNETCONF, FLAG.ack, netconfmsg).u32(NETCONFA_IFINDEX, index);
}

/** Undefined for any other message. */
export function readForwarding(message: Message, buffer: Buffer): boolean | undefined {
  if (message.type !== RTM_NEWNETCONF) return undefined;
  let forwarding: boolean | undefined;
  forEachAttribute(buffer, message.start + 4, message.end, (type, start) => {
    if (type === NETCONFA_FORWARDING) forwarding = buffer.readInt32LE(start) !== 0;
  });
  return forwarding;
}
