/** @module A long TCP connection between two namespaces, always busy, whose end tells whether every byte arrived. */
import { once } from "node:events";
import { createServer, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { End } from "./flows.ts";
import { beginConnect, closeSocket, connectionOf, openListener } from "./sockets.ts";

export interface TcpFlow {
  /** Ends it in peace; rejects when it was reset, or when fewer bytes arrived than were sent. Gives how many there were. */
  finish(): Promise<number>;
}

const TICK_MS = 20;
const CHUNK = Buffer.alloc(500, "x");
const CONNECT_LIMIT_MS = 30_000;

/** Connects and sends 25 kB a second until it is finished. */
export async function startTcpFlow(from: End, to: End, port: number): Promise<TcpFlow> {
  const listener = to.namespace.within(() => openListener({ address: to.address, port }));
  const server = createServer().listen({ fd: listener });
  const accepted = once(server, "connection");
  const fd = from.namespace.within(() =>
    beginConnect({ address: from.address, port: 0 }, { address: to.address, port }),
  );
  const deadline = performance.now() + CONNECT_LIMIT_MS;
  while (connectionOf(fd) === "pending" && performance.now() < deadline) await delay(TICK_MS);
  if (connectionOf(fd) !== "connected") {
    closeSocket(fd);
    server.close();
    throw new Error(`connect ${from.address} > ${to.address}:${port}: ${connectionOf(fd)}`);
  }
  const sender = new Socket({ fd });
  const [receiver] = (await accepted) as [Socket];
  let [sent, received] = [0, 0];
  let failure: Error | undefined;
  sender.on("error", (error) => {
    failure = error;
  });
  receiver.on("data", ({ length }) => {
    received += length;
  });
  const ended = once(receiver, "end"); // rejects when it is reset
  ended.catch(() => {});
  const ticks = setInterval(() => {
    sender.write(CHUNK);
    sent += CHUNK.length;
  }, TICK_MS);

  return {
    async finish() {
      clearInterval(ticks);
      sender.end();
      try {
        await ended;
      } finally {
        server.close();
        for (const socket of [sender, receiver]) socket.destroy();
      }
      if (failure !== undefined) throw failure;
      if (received !== sent)
        throw new Error(`tcp ${from.address} > ${to.address}: ${received} of ${sent} bytes arrived`);
      return received;
    },
  };
}
