/** @module The few system calls that Node has no API for, through koffi. */
import koffi from "koffi";

export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  setsockopt(fd: number, level: number, option: number, value: Buffer, length: number): number;
  recv(fd: number, buffer: Buffer, length: number, flags: number): number;
  setns(fd: number, type: number): number;
  memfd_create(name: string, flags: number): number;
  /** Returns 1 when something was given back, else 0. */
  malloc_trim(pad: number): number;
}

/** Kept, because a foreign function that is defined anew costs memory each time, and only Linux has this library. */
let loaded: Libc | undefined;

/** Each but the last returns -1 when it fails; `lastErrno` then says why, until the next call. */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

export function lastErrno(): number {
  return koffi.errno();
}

function load(): Libc {
  const library = koffi.load("libc.so.6");
  return {
    socket: library.func("int socket(int, int, int)"),
    bind: library.func("int bind(int, uint8_t*, uint32_t)"),
    setsockopt: library.func("int setsockopt(int, int, int, uint8_t*, uint32_t)"),
    recv: library.func("intptr_t recv(int, _Out_ uint8_t*, size_t, int)"),
    setns: library.func("int setns(int, int)"),
    memfd_create: library.func("int memfd_create(str, uint)"),
    malloc_trim: library.func("int malloc_trim(size_t)"),
  };
}
