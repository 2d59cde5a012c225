/** @module A TCP relay that counts: what really passes on one connection, TLS included. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";

export interface ByteRelay extends AsyncDisposable {
  /** The same URL with the relay's port. */
  readonly url: string;
  /** Of all connections so far. */
  readonly down: number;
  readonly up: number;
}

export async function startByteRelay(to: string): Promise<ByteRelay> {
  const target = new URL(to);
  let [down, up] = [0, 0];
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    for (const socket of [client, upstream]) sockets.add(socket.on("error", () => undefined));
    client.on("data", (chunk: Buffer) => {
      up += chunk.length;
      upstream.write(chunk);
    });
    upstream.on("data", (chunk: Buffer) => {
      down += chunk.length;
      client.write(chunk);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(to);
  url.port = String((server.address() as AddressInfo).port); // it listens on a port
  return {
    url: `${url.protocol}//${url.host}`,
    get down() {
      return down;
    },
    get up() {
      return up;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
