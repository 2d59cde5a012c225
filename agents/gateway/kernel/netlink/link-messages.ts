/** @module RTM_*LINK (linux/if_link.h): devices, their kind, MTU, whether they are up, and their IPv4 settings. */
import type { DeviceSettings } from "@spanwire/core/desired/state";
import { type AttributeWriter, forEachAttribute, textAt } from "./attributes.ts";
import { beginMessage, FLAG, type Message } from "./message.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;

const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_EXT_MASK = 29;
const IFLA_INFO_KIND = 1;

const AF_INET = 2;
const IFLA_INET_CONF = 1;
/** IPV4_DEVCONF_* (linux/ip.h). The kernel lists them from 1; as an array they start at 0. */
const DEVCONF_FORWARDING = 1;
const DEVCONF_RP_FILTER = 8;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
/** Packet counters of every device would be most of the answer. */
const RTEXT_FILTER_SKIP_STATS = 0x8;

export interface LinkRecord {
  readonly index: number;
  readonly name: string;
  /** "dummy", "wireguard", "tun", "bridge", …; undefined for hardware. */
  readonly kind: string | undefined;
  readonly mtuBytes: number;
  readonly up: boolean;
  readonly loopback: boolean;
  readonly settings: DeviceSettings;
}

export function addLink(link: { name: string; kind: string; mtuBytes: number }): AttributeWriter {
  return beginMessage(RTM_NEWLINK, FLAG.ack | FLAG.create | FLAG.exclusive, linkHeader(0))
    .u32(IFLA_MTU, link.mtuBytes)
    .text(IFLA_IFNAME, link.name)
    .nest(IFLA_LINKINFO, (info) => info.bytes(IFLA_INFO_KIND, Buffer.from(link.kind)), 0);
}

export function removeLink(name: string): AttributeWriter {
  return beginMessage(RTM_DELLINK, FLAG.ack, linkHeader(0)).text(IFLA_IFNAME, name);
}

/** RTM_SETLINK never makes a device: where it is gone this is refused. */
export function setLink(link: { name: string; mtuBytes?: number; up?: boolean }): AttributeWriter {
  const header = link.up === undefined ? linkHeader(0) : linkHeader(0, link.up ? IFF_UP : 0, IFF_UP);
  const writer = beginMessage(RTM_SETLINK, FLAG.ack, header).text(IFLA_IFNAME, link.name);
  return link.mtuBytes === undefined ? writer : writer.u32(IFLA_MTU, link.mtuBytes);
}

/** Needs CAP_NET_ADMIN only, where /proc/sys is read-only in a container. */
export function setSettings(settings: DeviceSettings): AttributeWriter {
  return beginMessage(RTM_SETLINK, FLAG.ack, linkHeader(0))
    .text(IFLA_IFNAME, settings.device)
    .nest(IFLA_AF_SPEC, (families) =>
      families.nest(AF_INET, (inet) =>
        inet.nest(IFLA_INET_CONF, (conf) =>
          conf.u32(DEVCONF_FORWARDING, settings.forwarding ? 1 : 0).u32(DEVCONF_RP_FILTER, settings.rpFilter),
        ),
      ),
    );
}

export function getLink(name: string): AttributeWriter {
  return beginMessage(RTM_GETLINK, FLAG.ack, linkHeader(0))
    .text(IFLA_IFNAME, name)
    .u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

export function dumpLinks(): AttributeWriter {
  return beginMessage(RTM_GETLINK, FLAG.dump, linkHeader(0)).u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

/** Undefined for a message that is no link. */
export function readLink(message: Message, buffer: Buffer): LinkRecord | undefined {
  if (message.type !== RTM_NEWLINK) return undefined;
  let name = "";
  let kind: string | undefined;
  let mtuBytes = 0;
  let conf = { rpFilter: 0 as DeviceSettings["rpFilter"], forwarding: false };
  forEachAttribute(buffer, message.start + 16, message.end, (type, start, end) => {
    if (type === IFLA_IFNAME) name = textAt(buffer, start, end);
    else if (type === IFLA_MTU) mtuBytes = buffer.readUInt32LE(start);
    else if (type === IFLA_LINKINFO) kind = readKind(buffer, start, end);
    else if (type === IFLA_AF_SPEC) conf = readInetConf(buffer, start, end) ?? conf;
  });
  const flags = buffer.readUInt32LE(message.start + 8);
  return {
    index: buffer.readInt32LE(message.start + 4),
    name,
    kind,
    mtuBytes,
    up: (flags & IFF_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    settings: { device: name, ...conf },
  };
}

/** struct ifinfomsg */
function linkHeader(index: number, flags = 0, change = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

function readKind(buffer: Buffer, from: number, to: number): string | undefined {
  let kind: string | undefined;
  forEachAttribute(buffer, from, to, (type, start, end) => {
    if (type === IFLA_INFO_KIND) kind = textAt(buffer, start, end);
  });
  return kind;
}

function readInetConf(buffer: Buffer, from: number, to: number): Omit<DeviceSettings, "device"> | undefined {
  let conf: Omit<DeviceSettings, "device"> | undefined;
  forEachAttribute(buffer, from, to, (family, familyStart, familyEnd) => {
    if (family !== AF_INET) return;
    forEachAttribute(buffer, familyStart, familyEnd, (type, start, end) => {
      if (type !== IFLA_INET_CONF || end - start < 4 * DEVCONF_RP_FILTER) return;
      const value = (index: number) => buffer.readUInt32LE(start + 4 * (index - 1));
      conf = { rpFilter: toRpFilter(value(DEVCONF_RP_FILTER)), forwarding: value(DEVCONF_FORWARDING) !== 0 };
    });
  });
  return conf;
}

/** The kernel takes any number; what is neither 0 nor 1 it treats as 2. */
function toRpFilter(value: number): DeviceSettings["rpFilter"] {
  return value === 0 || value === 1 ? value : 2;
}
