/**
 * @module A TCP relay of ours between NATS clients and a real nats-server, which does what bad networks and bad
 * middlemen do.
 *
 * It ends TLS on both sides, so that it sees messages: the server's first line comes in plain text, TLS follows.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createSecureContext, TLSSocket, connect as tlsConnect } from "node:tls";
import { createFrameReader, type Frame } from "./nats-frames.ts";

export interface RelayOptions {
  /** Of the embedded nats-server: the relay asks there for its port, and shows the same certificate. */
  readonly directory: string;
}

export type Direction = "to server" | "to client";

export interface Trouble {
  /** Waits so long before each piece of at most `pieceBytes`. */
  readonly slow?: { readonly delayMs: number; readonly pieceBytes: number };
  /** Takes what is sent this way and gives it to nobody; the connection stays open. */
  readonly silent?: Direction;
  /** What becomes of each frame that the server sends: nothing, itself, twice, with one that was held back. */
  readonly frame?: (frame: Frame) => readonly Frame[];
  /** The next message to the client is torn in the middle, and both sides are reset. */
  readonly cut?: boolean;
}

export interface Relay extends AsyncDisposable {
  /** "tls://127.0.0.1:PORT" */
  readonly url: string;
  /** Connections so far. */
  readonly taken: number;
  readonly open: number;
  /** From now on, for open connections as well; `{}` ends it. */
  trouble(trouble: Trouble): void;
}

export async function startRelay({ directory }: RelayOptions): Promise<Relay> {
  const read = (name: string) => readFile(join(directory, name), "utf8");
  const [cert, key] = [await read("server.crt"), await read("server.key")];
  const secureContext = createSecureContext({ cert, key });
  const sockets = new Set<Socket>();
  let trouble: Trouble = {};
  let taken = 0;
  const listener = createServer((client) => {
    taken += 1;
    relay(client).catch(() => client.destroy()); // a side that hung up; the other follows
  });

  async function relay(plainClient: Socket): Promise<void> {
    const plainServer = connect(Number(await read("port")), "127.0.0.1");
    for (const socket of [plainClient, plainServer]) keep(socket);
    plainClient.once("close", () => plainServer.destroy());
    plainServer.once("close", () => plainClient.destroy());
    const [information] = await once(plainServer, "data");
    plainClient.write(information);
    const client = new TLSSocket(plainClient, { isServer: true, secureContext });
    const server = tlsConnect({ socket: plainServer, ca: cert, host: "127.0.0.1" });
    for (const socket of [client, server]) socket.on("error", () => plainClient.destroy());
    await once(server, "secureConnect");
    const reset = () => {
      plainClient.resetAndDestroy();
      plainServer.resetAndDestroy();
    };
    await Promise.all([toServer(client, server), toClient(server, client, reset)]);
  }

  async function toServer(client: TLSSocket, server: TLSSocket): Promise<void> {
    for await (const chunk of client) await give(server, chunk, "to server");
    server.end();
  }

  async function toClient(server: TLSSocket, client: TLSSocket, reset: () => void): Promise<void> {
    const read = createFrameReader();
    for await (const chunk of server) {
      for (const frame of read(chunk)) {
        if (trouble.cut === true && frame.subject !== undefined) {
          trouble = {};
          client.write(frame.bytes.subarray(0, frame.bytes.length / 2), reset);
          return;
        }
        for (const each of trouble.frame?.(frame) ?? [frame]) await give(client, each.bytes, "to client");
      }
    }
    client.end();
  }

  async function give(sink: TLSSocket, bytes: Buffer, direction: Direction): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { slow, silent } = trouble;
      if (slow !== undefined) await delay(slow.delayMs);
      const piece = bytes.subarray(at, slow === undefined ? undefined : at + slow.pieceBytes);
      if (silent !== direction && !sink.write(piece)) await once(sink, "drain");
      at += piece.length;
    }
  }

  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
  }

  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    url: `tls://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    get taken() {
      return taken;
    },
    get open() {
      return sockets.size / 2;
    },
    trouble(next) {
      trouble = next;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
