/** @module TCP connections from one namespace to another, to see what a policy lets through. */
import { setTimeout as delay } from "node:timers/promises";

import type { End } from "./flows.ts";
import { beginConnect, closeSocket, connectionOf, openListener } from "./sockets.ts";

const POLL_MS = 20;

/** Listens on the port; the kernel completes connections by itself. */
export function listenIn({ namespace, address }: End, port: number): Disposable {
  const fd = namespace.within(() => openListener({ address, port }));
  return { [Symbol.dispose]: () => closeSocket(fd) };
}

/** Returns how many of `attempts` connections, all at once and each from a port of its own, came about in the time. */
export async function countConnects(
  from: End,
  to: { readonly address: string; readonly port: number },
  { attempts, timeoutMs }: { readonly attempts: number; readonly timeoutMs: number },
): Promise<number> {
  const local = { address: from.address, port: 0 };
  const sockets = from.namespace.within(() => Array.from({ length: attempts }, () => beginConnect(local, to)));
  try {
    const deadline = performance.now() + timeoutMs;
    while (performance.now() < deadline && sockets.some((fd) => connectionOf(fd) === "pending")) await delay(POLL_MS);
    return sockets.filter((fd) => connectionOf(fd) === "connected").length;
  } finally {
    for (const fd of sockets) closeSocket(fd);
  }
}
