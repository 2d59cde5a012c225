/**
 * @module One netlink socket. Node has no API for it: `socket` and friends are called through koffi, and the file
 * descriptor is then written and read by `fs`, in libuv's threads, so that a kernel busy under its locks never stops the
 * event loop.
 */
import { closeSync, read, write } from "node:fs";
import { kernelError } from "../kernel-error.ts";
import { lastErrno, libc } from "../libc.ts";
import { runInNamespace } from "../namespace.ts";
import { failure } from "./failure.ts";

export const PROTOCOL = { route: 0, netfilter: 12, generic: 16 } as const;

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const MSG_DONTWAIT = 0x40;
const EAGAIN = 11;
const ENOBUFS = 105;

/** The kernel answers a request while it is being written; this bounds the wait for an answer that never comes. */
const ANSWER_TIMEOUT_S = 5n;

export interface SocketOptions {
  readonly protocol: (typeof PROTOCOL)[keyof typeof PROTOCOL];
  /** Multicast groups to listen to. */
  readonly groups?: readonly number[];
  /** Path of a network namespace ("/run/netns/eu0") to open it in; the calling thread comes back afterwards. */
  readonly netns?: string;
}

export interface NetlinkSocket extends Disposable {
  send(message: Uint8Array): Promise<void>;
  /** Waits for one datagram and returns its length. */
  receive(into: Buffer): Promise<number>;
  /** Takes a datagram that is there already and returns its length; "empty" when none is, "lost" when some were. */
  poll(into: Buffer): number | "empty" | "lost";
}

export function openSocket(options: SocketOptions): NetlinkSocket {
  const { netns } = options;
  const fd = netns === undefined ? open(options) : runInNamespace(netns, () => open(options));
  return {
    send: (message) =>
      new Promise((resolve, reject) => write(fd, message, (error) => (error ? reject(error) : resolve()))),
    receive: (into) =>
      new Promise((resolve, reject) =>
        read(fd, into, 0, into.length, null, (error, length) => (error ? reject(error) : resolve(length))),
      ),
    poll: (into) => {
      const length = libc().recv(fd, into, into.length, MSG_DONTWAIT);
      if (length >= 0) return length;
      const errno = lastErrno();
      if (errno === EAGAIN) return "empty";
      if (errno === ENOBUFS) return "lost"; // more came than the socket's queue holds
      throw systemError("poll a netlink socket", errno);
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function open({ protocol, groups = [] }: SocketOptions): number {
  const fd = libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  check("open a netlink socket", fd);
  try {
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(ANSWER_TIMEOUT_S, 0);
    check("set the answer timeout", libc().setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length));
    setOption(fd, NETLINK_EXT_ACK, 1);
    setOption(fd, NETLINK_CAP_ACK, 1);
    if (protocol === PROTOCOL.route) setOption(fd, NETLINK_GET_STRICT_CHK, 1);
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    check("bind the netlink socket", libc().bind(fd, address, address.length));
    for (const group of groups) setOption(fd, NETLINK_ADD_MEMBERSHIP, group);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

function setOption(fd: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  check(`set netlink option ${option}`, libc().setsockopt(fd, SOL_NETLINK, option, bytes, bytes.length));
}

function check(doing: string, result: number): void {
  if (result < 0) throw systemError(doing, lastErrno());
}

function systemError(doing: string, errno: number) {
  const reason = failure(-errno);
  return kernelError(doing, reason.errno, reason.said);
}
