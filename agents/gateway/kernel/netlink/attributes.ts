/** @module Netlink attributes (include/uapi/linux/netlink.h, struct nlattr): length, type, payload, padding to 4 bytes. */

const HEADER_BYTES = 4;
const NESTED = 0x8000;
/** Without the flags NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const TYPE_MASK = 0x3fff;

/** Calls `visit` with the type and the payload's bounds of each attribute in [start, end); stops at a torn one. */
export function forEachAttribute(
  buffer: Buffer,
  start: number,
  end: number,
  visit: (type: number, start: number, end: number) => void,
): void {
  for (let offset = start; offset + HEADER_BYTES <= end; ) {
    const length = buffer.readUInt16LE(offset);
    if (length < HEADER_BYTES || offset + length > end) return;
    visit(buffer.readUInt16LE(offset + 2) & TYPE_MASK, offset + HEADER_BYTES, offset + length);
    offset += align(length);
  }
}

/** The text at [start, end), without the NUL that ends it. */
export function textAt(buffer: Buffer, start: number, end: number): string {
  const last = buffer[end - 1] === 0 ? end - 1 : end;
  return buffer.toString("utf8", start, last);
}

export function align(length: number): number {
  return (length + 3) & ~3;
}

/**
 * Writes attributes one after another. It may hold keys: `wipe` zeroes everything ever written, so a message is built
 * in one writer, sent and wiped.
 */
export class AttributeWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(capacity = 512) {
    this.#buffer = Buffer.alloc(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written so far: a view, valid until the next write. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  wipe(): void {
    this.#buffer.fill(0);
    this.#length = 0;
  }

  /** Appends bytes that are no attribute: the family's fixed header. */
  raw(bytes: Uint8Array): this {
    const offset = this.#grow(align(bytes.length)); // may change the buffer
    this.#buffer.set(bytes, offset);
    return this;
  }

  bytes(type: number, value: Uint8Array): this {
    const offset = this.#attribute(type, value.length);
    this.#buffer.set(value, offset);
    return this;
  }

  /** As a C string. */
  text(type: number, value: string): this {
    return this.bytes(type, Buffer.from(`${value}\0`));
  }

  u8(type: number, value: number): this {
    const offset = this.#attribute(type, 1);
    this.#buffer.writeUInt8(value, offset);
    return this;
  }

  u16(type: number, value: number): this {
    const offset = this.#attribute(type, 2);
    this.#buffer.writeUInt16LE(value, offset);
    return this;
  }

  u32(type: number, value: number): this {
    const offset = this.#attribute(type, 4);
    this.#buffer.writeUInt32LE(value, offset);
    return this;
  }

  /** Attributes inside an attribute. Without the NLA_F_NESTED flag where the old rtnetlink families were made without it. */
  nest(type: number, write: (writer: this) => void, flag: 0 | typeof NESTED = NESTED): this {
    const header = this.#attribute(type | flag, 0) - HEADER_BYTES;
    write(this);
    this.#buffer.writeUInt16LE(this.#length - header, header);
    return this;
  }

  #attribute(type: number, length: number): number {
    const offset = this.#grow(align(HEADER_BYTES + length));
    this.#buffer.writeUInt16LE(HEADER_BYTES + length, offset);
    this.#buffer.writeUInt16LE(type, offset + 2);
    return offset + HEADER_BYTES;
  }

  #grow(length: number): number {
    const offset = this.#length;
    this.#length += length;
    if (this.#length > this.#buffer.length) {
      const outgrown = this.#buffer;
      this.#buffer = Buffer.alloc(Math.max(this.#length, outgrown.length * 2));
      outgrown.copy(this.#buffer, 0, 0, offset);
      outgrown.fill(0);
    }
    return offset;
  }
}
