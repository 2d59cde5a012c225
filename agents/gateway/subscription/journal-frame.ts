/** @module How entries lie in the journal: length ‖ CRC-32 ‖ key length ‖ key ‖ record, numbers as 32 bits big-endian. */
import { crc32 } from "node:zlib";
import type { Entry } from "./offer-all.ts";

const HEADER_BYTES = 8;
const KEY_LENGTH_BYTES = 4;
/** Records are at most 64 KiB; a longer frame is a damaged length. */
const MAX_FRAME_BYTES = 128 * 1024;

export interface Frames {
  readonly entries: readonly Entry[];
  /** Where the next entry is to be written: behind the last whole one. */
  readonly endBytes: number;
  /** False where something had to be left out: an end torn off by a crash, or damage. */
  readonly whole: boolean;
}

export function frameEntries(entries: readonly Entry[]): Uint8Array {
  const [only, ...others] = entries;
  return only !== undefined && others.length === 0 ? frameEntry(only) : Buffer.concat(entries.map(frameEntry));
}

/** Reads every whole entry up to where the lengths make no sense any more; never throws. */
export function readFrames(bytes: Uint8Array): Frames {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const entries: Entry[] = [];
  let endBytes = 0;
  let whole = true;
  for (let at = 0; at < view.length; ) {
    const length = at + HEADER_BYTES <= view.length ? view.readUInt32BE(at) : 0;
    const next = at + HEADER_BYTES + length;
    if (length < KEY_LENGTH_BYTES || length > MAX_FRAME_BYTES || next > view.length)
      return { entries, endBytes, whole: false };
    const entry = readEntry(view.subarray(at + HEADER_BYTES, next), view.readUInt32BE(at + 4));
    if (entry === undefined) whole = false;
    else {
      entries.push(entry);
      endBytes = next;
    }
    at = next;
  }
  return { entries, endBytes, whole };
}

function frameEntry({ key, record }: Entry): Uint8Array {
  const keyBytes = Buffer.byteLength(key);
  const length = KEY_LENGTH_BYTES + keyBytes + record.length;
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  frame.writeUInt32BE(length);
  frame.writeUInt32BE(keyBytes, HEADER_BYTES);
  frame.write(key, HEADER_BYTES + KEY_LENGTH_BYTES);
  frame.set(record, HEADER_BYTES + KEY_LENGTH_BYTES + keyBytes);
  frame.writeUInt32BE(crc32(frame.subarray(HEADER_BYTES)), 4);
  return frame;
}

function readEntry(body: Buffer, checksum: number): Entry | undefined {
  const keyEnd = KEY_LENGTH_BYTES + body.readUInt32BE(0);
  if (crc32(body) !== checksum || keyEnd > body.length) return undefined;
  // A view: for as long as one record of it lives the file stays in memory, which is no larger than what a buffer of its
  // own for each record costs.
  const record = new Uint8Array(body.buffer, body.byteOffset + keyEnd, body.length - keyEnd);
  return { key: body.toString("utf8", KEY_LENGTH_BYTES, keyEnd), record };
}
