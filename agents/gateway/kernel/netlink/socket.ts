/**
 * @module One netlink socket. Node has no API for it: `socket` and friends are called through koffi, and the file
 * descriptor is then written and read by `fs`, in libuv's threads, so that a kernel busy under its locks never stops the
 * event loop.
 */

import { closeSync, openSync, read, write } from "node:fs";
import koffi from "koffi";
import { kernelError } from "../kernel-error.ts";
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
const CLONE_NEWNET = 0x40000000;
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
  const libc = loadLibc();
  const fd =
    options.netns === undefined ? open(libc, options) : inNamespace(libc, options.netns, () => open(libc, options));
  return {
    send: (message) =>
      new Promise((resolve, reject) => write(fd, message, (error) => (error ? reject(error) : resolve()))),
    receive: (into) =>
      new Promise((resolve, reject) =>
        read(fd, into, 0, into.length, null, (error, length) => (error ? reject(error) : resolve(length))),
      ),
    poll: (into) => {
      const length = libc.recv(fd, into, into.length, MSG_DONTWAIT);
      if (length >= 0) return length;
      const errno = koffi.errno();
      if (errno === EAGAIN) return "empty";
      if (errno === ENOBUFS) return "lost"; // more came than the socket's queue holds
      const reason = failure(-errno);
      throw kernelError("poll a netlink socket", reason.errno, reason.said);
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** Runs `action` with the calling thread in another network namespace, and brings it back. */
export function runInNamespace<T>(path: string, action: () => T): T {
  return inNamespace(loadLibc(), path, action);
}

function open(libc: Libc, { protocol, groups = [] }: SocketOptions): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  check("open a netlink socket", fd);
  try {
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(ANSWER_TIMEOUT_S, 0);
    check("set the answer timeout", libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length));
    setOption(libc, fd, NETLINK_EXT_ACK, 1);
    setOption(libc, fd, NETLINK_CAP_ACK, 1);
    if (protocol === PROTOCOL.route) setOption(libc, fd, NETLINK_GET_STRICT_CHK, 1);
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    check("bind the netlink socket", libc.bind(fd, address, address.length));
    for (const group of groups) setOption(libc, fd, NETLINK_ADD_MEMBERSHIP, group);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

function setOption(libc: Libc, fd: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  check(`set netlink option ${option}`, libc.setsockopt(fd, SOL_NETLINK, option, bytes, bytes.length));
}

function inNamespace<T>(libc: Libc, path: string, action: () => T): T {
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    const target = openSync(path, "r");
    try {
      check(`enter network namespace ${path}`, libc.setns(target, CLONE_NEWNET));
    } finally {
      closeSync(target);
    }
    try {
      return action();
    } finally {
      check("return to the own network namespace", libc.setns(home, CLONE_NEWNET));
    }
  } finally {
    closeSync(home);
  }
}

interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  setsockopt(fd: number, level: number, option: number, value: Buffer, length: number): number;
  recv(fd: number, buffer: Buffer, length: number, flags: number): number;
  setns(fd: number, type: number): number;
}

function loadLibc(): Libc {
  const library = koffi.load("libc.so.6");
  return {
    socket: library.func("int socket(int, int, int)"),
    bind: library.func("int bind(int, uint8_t*, uint32_t)"),
    setsockopt: library.func("int setsockopt(int, int, int, uint8_t*, uint32_t)"),
    recv: library.func("intptr_t recv(int, _Out_ uint8_t*, size_t, int)"),
    setns: library.func("int setns(int, int)"),
  };
}

function check(doing: string, result: number): void {
  if (result >= 0) return;
  const { errno, said } = failure(-koffi.errno());
  throw kernelError(doing, errno, said);
}
