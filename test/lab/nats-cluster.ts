/** @module A real cluster of nats-servers for a test: n0, n1, …, each with its own store, gone with the test. */
import { findPorts } from "./find-ports.ts";
import { type NatsServer, startNats } from "./nats.ts";

/** Starts the servers; `configOf` gives what each has besides name and routes. Their leaders are elected a little later. */
export async function startNatsCluster(
  count: number,
  configOf: (name: string) => Parameters<typeof startNats>[0] = () => ({}),
): Promise<readonly NatsServer[]> {
  const ports = await findPorts(count);
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
