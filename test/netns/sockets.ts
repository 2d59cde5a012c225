/** @module Plain sockets by file descriptor: opened in a namespace (`Namespace.within`), used from anywhere after. */
import { isIPv6 } from "node:net";
import koffi from "koffi";

const libc = koffi.load("libc.so.6");
const socket = libc.func("int socket(int family, int type, int protocol)");
const bind = libc.func("int bind(int fd, void *address, int length)");
const listen = libc.func("int listen(int fd, int backlog)");
const connect = libc.func("int connect(int fd, void *address, int length)");
const getpeername = libc.func("int getpeername(int fd, _Out_ void *address, _Inout_ uint32_t *length)");
const setsockopt = libc.func("int setsockopt(int fd, int level, int name, void *value, int length)");
const getsockopt = libc.func(
  "int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ uint32_t *length)",
);
const sendto = libc.func("long sendto(int fd, void *data, long length, int flags, void *address, int addressLength)");
const recv = libc.func("long recv(int fd, _Out_ void *data, long length, int flags)");
const close = libc.func("int close(int fd)");

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_RCVBUFFORCE = 33;
const SO_MEMINFO = 55;
const IPPROTO_TCP = 6;
const TCP_MAXSEG = 2;
const SK_MEMINFO_DROPS = 8;
const SK_MEMINFO_BYTES = 9 * 4;
const MSG_DONTWAIT = 0x40;
const EINPROGRESS = 115;

/** As sendto(2) wants it; made once for each destination, because it is used for each packet. */
export type SocketAddress = Buffer;

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Returns a sockaddr_in or sockaddr_in6. */
export function socketAddress({ address, port }: Endpoint): SocketAddress {
  if (!isIPv6(address)) {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt16LE(AF_INET, 0);
    bytes.writeUInt16BE(port, 2);
    for (const [index, part] of address.split(".").entries()) bytes[4 + index] = Number(part);
    return bytes;
  }
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  for (const [index, group] of ipv6Groups(address).entries()) bytes.writeUInt16BE(group, 8 + 2 * index);
  return bytes;
}

/** Opens a bound UDP socket that never blocks, with a receive buffer of `bufferBytes` (needs CAP_NET_ADMIN). */
export function openUdp(local: Endpoint, bufferBytes: number): number {
  const fd = opened(local, SOCK_DGRAM | SOCK_NONBLOCK);
  const size = Buffer.alloc(4);
  size.writeInt32LE(bufferBytes);
  checked(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size, 4), `set the receive buffer of ${local.address}`);
  return fd;
}

/** Returns 0, or the errno with which the kernel refused the packet. */
export function sendUdp(fd: number, data: Buffer, to: SocketAddress): number {
  return sendto(fd, data, data.length, 0, to, to.length) < 0 ? koffi.errno() : 0;
}

/** Reads one packet into `data`; returns its length, or undefined when there is none. */
export function receiveUdp(fd: number, data: Buffer): number | undefined {
  const length = Number(recv(fd, data, data.length, MSG_DONTWAIT));
  return length < 0 ? undefined : length;
}

/** How many packets the kernel dropped at this socket because nobody read them in time. */
export function dropsOf(fd: number): number {
  const info = Buffer.alloc(SK_MEMINFO_BYTES);
  checked(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, [SK_MEMINFO_BYTES]), "read SO_MEMINFO");
  return info.readUInt32LE(4 * SK_MEMINFO_DROPS);
}

/** Opens a TCP socket on which the kernel completes connections; nobody needs to accept them. */
export function openListener(local: Endpoint): number {
  const fd = opened(local, SOCK_STREAM);
  checked(listen(fd, 1024), `listen on ${local.address}`);
  return fd;
}

/** Opens a TCP socket and begins to connect it; whether it came about, `connectionOf` tells. */
export function beginConnect(local: Endpoint, to: Endpoint): number {
  const fd = opened(local, SOCK_STREAM | SOCK_NONBLOCK);
  const address = socketAddress(to);
  if (connect(fd, address, address.length) < 0 && koffi.errno() !== EINPROGRESS) {
    const errno = koffi.errno();
    close(fd);
    throw new Error(`connect to ${to.address} port ${to.port}: errno ${errno}`);
  }
  return fd;
}

export function connectionOf(fd: number): "connected" | "pending" | "refused" {
  if (getpeername(fd, Buffer.alloc(28), [28]) === 0) return "connected";
  const error = Buffer.alloc(4);
  checked(getsockopt(fd, SOL_SOCKET, SO_ERROR, error, [4]), "read SO_ERROR");
  return error.readInt32LE(0) === 0 ? "pending" : "refused";
}

/** The largest segment that a connected TCP socket sends, by the MTU and what the other end said; without options. */
export function segmentBytesOf(fd: number): number {
  const bytes = Buffer.alloc(4);
  checked(getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, bytes, [4]), "read TCP_MAXSEG");
  return bytes.readInt32LE(0);
}

export function closeSocket(fd: number): void {
  close(fd);
}

function opened(local: Endpoint, type: number): number {
  const address = socketAddress(local);
  const fd = checked(socket(address.readUInt16LE(0), type | SOCK_CLOEXEC, 0), `open a socket for ${local.address}`);
  checked(bind(fd, address, address.length), `bind ${local.address} port ${local.port}`);
  return fd;
}

function checked(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${koffi.errno()}`);
  return result;
}

function ipv6Groups(address: string): number[] {
  const [left = "", right] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const head = groups(left);
  const tail = groups(right ?? "");
  return [...head, ...Array(8 - head.length - tail.length).fill(0), ...tail];
}
