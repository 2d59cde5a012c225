/** @module A real cluster of nats-servers for a test: n0, n1, …, each with its own store, gone with the test. */
import { createServer } from "node:net";
import { type NatsServer, startNats } from "./nats.ts";

/** Starts the servers; `configOf` gives what each has besides name and routes. Their leaders are elected a little later. */
export async function startNatsCluster(
  count: number,
  configOf: (name: string) => Parameters<typeof startNats>[0] = () => ({}),
): Promise<readonly NatsServer[]> {
  const ports = await freePorts(count);
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(", ");
  return Promise.all(
    ports.map((port, at) => {
      const name = `n${at}`;
      const more = configOf(name);
      const own = `server_name: ${name}\ncluster { name: c, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
      return startNats({ ...more, config: `${more?.config ?? ""}\n${own}` });
    }),
  );
}

/** Routes name ports before the servers listen; another process may take one meanwhile, and the start then says so. */
async function freePorts(count: number): Promise<number[]> {
  const held = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(held.map((server) => new Promise((resolve) => server.once("listening", resolve))));
  const ports = held.map((server) => {
    const address = server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  });
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
