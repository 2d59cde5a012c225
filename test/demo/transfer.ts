/** @module One TCP transfer between LAN hosts, checked by its hash. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, Socket } from "node:net";
import type { Namespace } from "../netns/namespace.ts";
import { beginConnect, closeSocket, connectionOf, openListener } from "../netns/sockets.ts";
import { eventually } from "./eventually.ts";

export interface TransferEnd {
  readonly namespace: Namespace;
  readonly address: string;
}

const PORT = 7000;
const CONNECT_LIMIT_MS = 10_000;

/** Sends `bytes` random bytes and returns how long it took; throws when other bytes arrive than were sent. */
export async function transfer(
  from: TransferEnd,
  to: TransferEnd,
  bytes: number,
): Promise<{ readonly seconds: number }> {
  const server = createServer().listen({
    fd: to.namespace.within(() => openListener({ address: to.address, port: PORT })),
  });
  const received = createHash("sha256");
  const whole = once(server, "connection").then(async ([socket]: Socket[]) => {
    for await (const chunk of socket ?? []) received.update(chunk);
  });
  try {
    const started = performance.now();
    const payload = randomBytes(bytes);
    const local = { address: from.address, port: 0 };
    const fd = from.namespace.within(() => beginConnect(local, { address: to.address, port: PORT }));
    await eventually(`connect ${from.address} > ${to.address}`, () => connectionOf(fd) === "connected", {
      timeoutMs: CONNECT_LIMIT_MS,
    }).catch((error) => {
      closeSocket(fd);
      throw error;
    });
    new Socket({ fd }).end(payload);
    await whole;
    const sent = createHash("sha256").update(payload).digest("hex");
    if (received.digest("hex") !== sent)
      throw new Error(`transfer ${from.address} > ${to.address}: other bytes arrived`);
    return { seconds: (performance.now() - started) / 1000 };
  } finally {
    server.close();
  }
}
