/** @module How something is done in the network namespace that a kernel port belongs to. */
import { closeSync, openSync } from "node:fs";
import { errnoName } from "./errno.ts";
import { kernelError } from "./kernel-error.ts";
import { lastErrno, libc } from "./libc.ts";

const CLONE_NEWNET = 0x40000000;

/** Runs a synchronous action; it may enter a network namespace meanwhile. Sockets and children stay in it. */
export type Run = <T>(action: () => T) => T;

export const runHere: Run = (action) => action();

/** Runs `action` with the calling thread in the namespace of `path` ("/run/netns/eu0"), and brings it back. */
export function runInNamespace<T>(path: string, action: () => T): T {
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    enter(path);
    try {
      return action();
    } finally {
      // Never go on in the wrong namespace: everything that this process opens later would be in it.
      if (libc().setns(home, CLONE_NEWNET) !== 0) process.abort();
    }
  } finally {
    closeSync(home);
  }
}

function enter(path: string): void {
  const target = openSync(path, "r");
  try {
    if (libc().setns(target, CLONE_NEWNET) === 0) return;
    throw kernelError(
      `enter network namespace ${path}`,
      errnoName(lastErrno()),
      "setns refused: it takes CAP_SYS_ADMIN",
    );
  } finally {
    closeSync(target);
  }
}
