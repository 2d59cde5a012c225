/** @module Netlink messages (include/uapi/linux/netlink.h, struct nlmsghdr): a 16-byte header, then the family's own. */
import { AttributeWriter, align } from "./attributes.ts";

export const HEADER_BYTES = 16;

export const FLAG = {
  request: 0x1,
  ack: 0x4,
  dumpInterrupted: 0x10,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
} as const;

export const TYPE = { error: 2, done: 3, overrun: 4 } as const;

/** Begins a message: the header, its length still open, and the family's fixed header. */
export function beginMessage(type: number, flags: number, familyHeader: Uint8Array): AttributeWriter {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(FLAG.request | flags, 6);
  return new AttributeWriter().raw(header).raw(familyHeader);
}

/** Ends a message: fills in its length and sequence number. The bytes are the writer's own. */
export function endMessage(writer: AttributeWriter, sequence: number): Buffer {
  const message = writer.view();
  message.writeUInt32LE(message.length, 0);
  message.writeUInt32LE(sequence, 8);
  return message;
}

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Bounds of what follows the header, in the buffer that it was read from. */
  readonly start: number;
  readonly end: number;
}

/** The messages of one datagram of `length` bytes; stops at a torn one. */
export function* messagesIn(buffer: Buffer, length: number): Generator<Message> {
  for (let offset = 0; offset + HEADER_BYTES <= length; ) {
    const size = buffer.readUInt32LE(offset);
    if (size < HEADER_BYTES || offset + size > length) return;
    yield {
      type: buffer.readUInt16LE(offset + 4),
      flags: buffer.readUInt16LE(offset + 6),
      sequence: buffer.readUInt32LE(offset + 8),
      start: offset + HEADER_BYTES,
      end: offset + size,
    };
    offset += align(size);
  }
}
