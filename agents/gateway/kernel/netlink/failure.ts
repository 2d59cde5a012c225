/** @module What the kernel refused and why: its errno, and the sentence of its extended acknowledgement if it has one. */
import { getSystemErrorMessage } from "node:util";
import { errnoName } from "../errno.ts";
import { forEachAttribute, textAt } from "./attributes.ts";
import { HEADER_BYTES, type Message, TYPE } from "./message.ts";

export interface Failure {
  /** "EEXIST" */
  readonly errno: string;
  readonly said: string;
}

/** NLM_F_CAPPED: the request's payload is not repeated; NLM_F_ACK_TLVS: attributes follow. */
const FLAG_CAPPED = 0x100;
const FLAG_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

/** What an operator can do about an errno, where the kernel's own words do not say it. */
const HINTS: Readonly<Record<string, string>> = {
  EPERM: "not permitted: the agent needs CAP_NET_ADMIN in the user namespace that owns this network namespace",
  ENODEV: "no such device",
  ENOENT: "no such object",
  ESRCH: "no such route",
  EADDRNOTAVAIL: "no such address on the device",
  EADDRINUSE: "the UDP port is in use by another program or another WireGuard device",
  ENETDOWN: "the device is down",
  EOPNOTSUPP: "this kernel does not support it",
  ENOBUFS: "the kernel ran out of buffer space",
};

/**
 * Reads the answer NLMSG_ERROR or the end of a dump, NLMSG_DONE; undefined when it reports success.
 *
 * An error message holds the errno, the request's header (with its payload unless capped), then attributes. The end of
 * a dump holds the errno, then attributes.
 */
export function readFailure(buffer: Buffer, message: Message): Failure | undefined {
  if (message.end - message.start < 4) return undefined;
  const code = buffer.readInt32LE(message.start);
  if (code === 0) return undefined;
  let said: string | undefined;
  if ((message.flags & FLAG_ACK_TLVS) !== 0) {
    forEachAttribute(buffer, attributesStart(buffer, message), message.end, (type, start, end) => {
      if (type === NLMSGERR_ATTR_MSG) said = textAt(buffer, start, end);
    });
  }
  return failure(code, said);
}

/** `code` is negative, as system calls return it. */
export function failure(code: number, said?: string): Failure {
  const errno = errnoName(-code);
  return { errno, said: said ?? HINTS[errno] ?? getSystemErrorMessage(code) ?? "unknown error" };
}

function attributesStart(buffer: Buffer, message: Message): number {
  const afterCode = message.start + 4;
  if (message.type !== TYPE.error) return afterCode;
  const capped = (message.flags & FLAG_CAPPED) !== 0;
  return afterCode + (capped ? HEADER_BYTES : buffer.readUInt32LE(afterCode));
}
