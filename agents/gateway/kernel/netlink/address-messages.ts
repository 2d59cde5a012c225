/** @module RTM_*ADDR (linux/if_addr.h): addresses of devices. */
import { ADDRESS_BYTES, familyOf, ipFromBytes, prefixToBytes } from "../ip-bytes.ts";
import { type AttributeWriter, forEachAttribute } from "./attributes.ts";
import { FAMILY, findFamily } from "./family.ts";
import { beginMessage, FLAG, type Message } from "./message.ts";

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

/** Duplicate address detection would keep an IPv6 address unusable for a second, on devices that have no neighbours. */
const IFA_F_NODAD = 0x02;
const SCOPE_LINK = 253;

export interface AddressRecord {
  readonly index: number;
  /** "198.18.0.1/32" */
  readonly address: string;
  /** Made by the kernel itself for IPv6 (fe80::/10), or meant for one link. */
  readonly linkLocal: boolean;
}

/** Replaces an address that is there: without effect when it is the same. */
export function addAddress(index: number, address: string): AttributeWriter {
  return addressMessage(RTM_NEWADDR, FLAG.ack | FLAG.create | FLAG.replace, index, address);
}

export function removeAddress(index: number, address: string): AttributeWriter {
  return addressMessage(RTM_DELADDR, FLAG.ack, index, address);
}

export function dumpAddresses(): AttributeWriter {
  return beginMessage(RTM_GETADDR, FLAG.dump, Buffer.alloc(8));
}

/** Undefined for a message that is no IP address. */
export function readAddress(message: Message, buffer: Buffer): AddressRecord | undefined {
  if (message.type !== RTM_NEWADDR) return undefined;
  const family = findFamily(buffer.readUInt8(message.start));
  if (family === undefined) return undefined;
  let text: string | undefined;
  forEachAttribute(buffer, message.start + 8, message.end, (type, start, end) => {
    if (end - start !== ADDRESS_BYTES[family]) return;
    // For IPv4 IFA_ADDRESS is the other end of a point-to-point device, IFA_LOCAL ours; IPv6 often has the first only.
    if (type === IFA_LOCAL || (type === IFA_ADDRESS && text === undefined)) text = ipFromBytes(buffer, start, family);
  });
  if (text === undefined) return undefined;
  return {
    index: buffer.readUInt32LE(message.start + 4),
    address: `${text}/${buffer.readUInt8(message.start + 1)}`,
    linkLocal: family === "ipv6" && buffer.readUInt8(message.start + 3) === SCOPE_LINK,
  };
}

function addressMessage(type: number, flags: number, index: number, address: string): AttributeWriter {
  const family = familyOf(address);
  const { bytes, bits } = prefixToBytes(address);
  const header = Buffer.alloc(8); // struct ifaddrmsg
  header.writeUInt8(FAMILY[family], 0);
  header.writeUInt8(bits, 1);
  header.writeUInt8(type === RTM_NEWADDR && family === "ipv6" ? IFA_F_NODAD : 0, 2);
  header.writeUInt32LE(index, 4);
  return beginMessage(type, flags, header).bytes(IFA_LOCAL, bytes).bytes(IFA_ADDRESS, bytes);
}
