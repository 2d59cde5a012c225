/** @module A file in memory: it needs no writable directory and no room on a disk, and is gone with its last descriptor. */
import { closeSync, writeSync } from "node:fs";
import { errnoName } from "./errno.ts";
import { kernelError } from "./kernel-error.ts";
import { lastErrno, libc } from "./libc.ts";

const MFD_CLOEXEC = 1;

/** Calls `use` with the descriptor of a file that holds `content` and stands at its beginning. */
export function withMemoryFile<T>(content: string, use: (fd: number) => T): T {
  const fd = libc().memfd_create("spanwire", MFD_CLOEXEC);
  if (fd < 0) throw kernelError("make a file in memory", errnoName(lastErrno()), "memfd_create failed");
  try {
    const bytes = Buffer.from(content);
    for (let offset = 0; offset < bytes.length; ) offset += writeSync(fd, bytes, offset, bytes.length - offset, offset);
    return use(fd);
  } finally {
    closeSync(fd);
  }
}
