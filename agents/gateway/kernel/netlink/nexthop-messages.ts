/** @module RTM_*NEXTHOP (linux/nexthop.h): nexthop objects (Linux 5.3) and groups of them (resilient ones: 5.13). */
import type { Nexthop } from "@spanwire/core/desired/state";
import type { ObservedNexthop } from "../port.ts";
import { type AttributeWriter, forEachAttribute } from "./attributes.ts";
import { FAMILY, findFamily } from "./family.ts";
import { beginMessage, FLAG, type Message } from "./message.ts";
import { OUR_PROTOCOL } from "./our-protocol.ts";

const RTM_NEWNEXTHOP = 104;
const RTM_DELNEXTHOP = 105;
const RTM_GETNEXTHOP = 106;

const NHA_ID = 1;
const NHA_GROUP = 2;
const NHA_GROUP_TYPE = 3;
const NHA_OIF = 5;
const NHA_RES_GROUP = 12;
const NHA_RES_GROUP_BUCKETS = 1;
const NHA_RES_GROUP_IDLE_TIMER = 2;
const NHA_RES_GROUP_UNBALANCED_TIMER = 3;
const GROUP_TYPE_RESILIENT = 1;
/** struct nexthop_grp: id, weight - 1, three bytes reserved. */
const MEMBER_BYTES = 8;

/** `index` is that of the device, undefined for a group. */
export function replaceNexthop(nexthop: Nexthop, index: number | undefined): AttributeWriter {
  const family = nexthop.kind === "device" ? FAMILY[nexthop.family] : 0;
  const flags = FLAG.ack | FLAG.create | FLAG.replace;
  const writer = beginMessage(RTM_NEWNEXTHOP, flags, nexthopHeader(family, OUR_PROTOCOL)).u32(NHA_ID, nexthop.id);
  if (nexthop.kind === "device") return writer.u32(NHA_OIF, index ?? 0);

  const { members, resilientBuckets } = nexthop;
  const group = Buffer.alloc(members.length * MEMBER_BYTES);
  members.forEach(({ id, weight }, position) => {
    group.writeUInt32LE(id, position * MEMBER_BYTES);
    group.writeUInt8(weight - 1, position * MEMBER_BYTES + 4);
  });
  writer.bytes(NHA_GROUP, group);
  if (resilientBuckets === undefined) return writer;
  // Timers 0: buckets of a member that left move at once. The default waits until they have been idle for 120 s.
  return writer
    .nest(NHA_RES_GROUP, (attributes) =>
      attributes
        .u16(NHA_RES_GROUP_BUCKETS, resilientBuckets)
        .u32(NHA_RES_GROUP_IDLE_TIMER, 0)
        .u32(NHA_RES_GROUP_UNBALANCED_TIMER, 0),
    )
    .u16(NHA_GROUP_TYPE, GROUP_TYPE_RESILIENT);
}

export function removeNexthop(id: number): AttributeWriter {
  return beginMessage(RTM_DELNEXTHOP, FLAG.ack, nexthopHeader(0, 0)).u32(NHA_ID, id);
}

export function dumpNexthops(): AttributeWriter {
  return beginMessage(RTM_GETNEXTHOP, FLAG.dump, nexthopHeader(0, 0));
}

/** Undefined for a message that is no nexthop. Members are sorted by id. */
export function readNexthop(
  message: Message,
  buffer: Buffer,
  nameOf: (index: number) => string | undefined,
): ObservedNexthop | undefined {
  if (message.type !== RTM_NEWNEXTHOP) return undefined;
  const family = findFamily(buffer.readUInt8(message.start));
  let id = 0;
  let device: string | undefined;
  let members: Group["members"] | undefined;
  let resilientBuckets: number | undefined;
  let ordinary = true;
  forEachAttribute(buffer, message.start + 8, message.end, (type, start, end) => {
    if (type === NHA_ID) id = buffer.readUInt32LE(start);
    else if (type === NHA_OIF) device = nameOf(buffer.readUInt32LE(start));
    else if (type === NHA_GROUP) members = readMembers(buffer, start, end);
    else if (type === NHA_RES_GROUP) resilientBuckets = readBuckets(buffer, start, end);
    else if (type !== NHA_GROUP_TYPE) ordinary = false; // a gateway, a blackhole, an encapsulation
  });
  if (members !== undefined) return { kind: "group", id, members, resilientBuckets };
  if (!ordinary || device === undefined || family === undefined) return { kind: "other", id };
  return { kind: "device", id, family, device };
}

type Group = Extract<Nexthop, { kind: "group" }>;

function readMembers(buffer: Buffer, start: number, end: number): Group["members"] {
  const members = [];
  for (let offset = start; offset + MEMBER_BYTES <= end; offset += MEMBER_BYTES) {
    members.push({ id: buffer.readUInt32LE(offset), weight: buffer.readUInt8(offset + 4) + 1 });
  }
  return members.sort((a, b) => a.id - b.id);
}

function readBuckets(buffer: Buffer, from: number, to: number): number | undefined {
  let buckets: number | undefined;
  forEachAttribute(buffer, from, to, (type, start) => {
    if (type === NHA_RES_GROUP_BUCKETS) buckets = buffer.readUInt16LE(start);
  });
  return buckets;
}

/** struct nhmsg */
function nexthopHeader(family: number, protocol: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(family, 0);
  header.writeUInt8(protocol, 2);
  return header;
}
