/** @module Generic netlink (linux/genetlink.h): families have names, and numbers that differ from boot to boot. */
import { type AttributeWriter, forEachAttribute } from "./attributes.ts";
import { beginMessage, FLAG, type Message } from "./message.ts";

const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;

export const GENERIC_HEADER_BYTES = 4;

/** struct genlmsghdr */
export function genericHeader(command: number, version: number): Buffer {
  return Buffer.from([command, version, 0, 0]);
}

/** Asks for a family's number; the kernel loads the module of that name if it has one. */
export function getFamily(name: string): AttributeWriter {
  return beginMessage(GENL_ID_CTRL, FLAG.ack, genericHeader(CTRL_CMD_GETFAMILY, 1)).text(CTRL_ATTR_FAMILY_NAME, name);
}

export function readFamilyId(message: Message, buffer: Buffer): number | undefined {
  let id: number | undefined;
  forEachAttribute(buffer, message.start + GENERIC_HEADER_BYTES, message.end, (type, start) => {
    if (type === CTRL_ATTR_FAMILY_ID) id = buffer.readUInt16LE(start);
  });
  return id;
}
