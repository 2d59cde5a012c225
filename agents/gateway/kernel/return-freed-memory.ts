/** @module What was freed goes back to the system. */
import type { Clock } from "@spanwire/core/time";
import { libc } from "./libc.ts";

const EVERY_MS = 10_000;

/**
 * Gives the system back what the C library holds for the next allocation, now and then until the signal aborts; a
 * millisecond each time. Buffers of the disk, of NATS and of the kernel's answers come and go between small things that
 * stay, and what is free between those the library never returns by itself: 15 MB of a process, and 8 more at a thousand
 * peers.
 */
export async function returnFreedMemory(clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    libc().malloc_trim(0);
    await clock.sleep(EVERY_MS, signal).catch(() => {});
  }
}
