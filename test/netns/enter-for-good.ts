/** @module Moves this process into a namespace, to stay: for a program that plays one machine of a topology. */
import { closeSync, openSync } from "node:fs";
import koffi from "koffi";
import type { Namespace } from "./namespace.ts";

const CLONE_NEWNET = 0x40000000;
const setns = koffi.load("libc.so.6").func("int setns(int fd, int type)");

/**
 * All sockets that the main thread opens afterwards are inside; other threads stay outside, name lookups among them.
 * `Namespace.within` goes on to work: it comes back to here.
 */
export function enterForGood({ name }: Namespace): void {
  const fd = openSync(`/run/netns/${name}`, "r");
  try {
    if (setns(fd, CLONE_NEWNET) !== 0) throw new Error(`enter ${name}: setns refused (are you root?)`);
  } finally {
    closeSync(fd);
  }
}
