/** @module One TCP connection between LAN hosts that is filled for a while, again and again. */
import { once } from "node:events";
import { createServer, Socket } from "node:net";
import { eventually } from "../demo/eventually.ts";
import { beginConnect, connectionOf, openListener } from "../netns/sockets.ts";
import type { Site } from "../netns/topology.ts";
import { nowMs } from "./now.ts";

export interface Stream extends Disposable {
  /** Sends as fast as it goes for so long, and waits until all has arrived; gives bytes for each second. */
  fill(ms: number): Promise<number>;
}

const PORT = 7_010;
/** Large, so that little time is spent in this program, and yet a part of a second where all is emulated. */
const CHUNK = Buffer.alloc(256 << 10);

export async function openStream({ host: from }: Site, { host: to }: Site): Promise<Stream> {
  const end = { address: to.address.ipv4, port: PORT };
  const server = createServer().listen({ fd: to.namespace.within(() => openListener(end)) });
  const accepted = once(server, "connection");
  const fd = from.namespace.within(() => beginConnect({ address: from.address.ipv4, port: 0 }, end));
  await eventually(`connect ${from.address.ipv4} > ${to.address.ipv4}`, () => connectionOf(fd) === "connected");
  const sender = new Socket({ fd });
  const [receiver]: Socket[] = await accepted;
  if (receiver === undefined) throw new Error("no connection");
  let received = 0;
  let wake = () => {};
  receiver.on("data", ({ length }) => {
    received += length;
    wake();
  });

  return {
    async fill(ms) {
      const [startMs, before] = [nowMs(), received];
      let sent = 0;
      while (nowMs() - startMs < ms) {
        await new Promise<void>((resolve, reject) =>
          sender.write(CHUNK, (error) => (error ? reject(error) : resolve())),
        );
        sent += CHUNK.length;
      }
      while (received - before < sent) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return (sent * 1_000) / (nowMs() - startMs);
    },
    [Symbol.dispose]() {
      sender.destroy();
      receiver.destroy();
      server.close();
    },
  };
}
