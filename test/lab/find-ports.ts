/** @module Ports for servers that have to be told theirs, or that come back to it after an end. */
import { once } from "node:events";
import { createServer, type Server } from "node:net";

/**
 * Below the range from which the kernel gives ports to clients and to who asks for any (Linux begins at 32768,
 * ip_local_port_range): what nobody holds for a while is not lost to a connection that comes meanwhile.
 */
const FIRST = 10_000;
const COUNT = 20_000;

/** Finds ports of 127.0.0.1 on which nobody listens, at random, so that two processes do not find the same ones. */
export async function findPorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

async function isFree(port: number): Promise<boolean> {
  const server: Server = createServer();
  try {
    await once(server.listen(port, "127.0.0.1"), "listening");
  } catch {
    return false;
  }
  await new Promise((resolve) => server.close(resolve));
  return true;
}
