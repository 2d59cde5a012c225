/** @module A real server on a free port for tests, with the fleet service of which a test writes the methods it needs. */
import { SpanwireError } from "@spanwire/core/errors";
import { FleetService } from "@spanwire/proto/fleet";
import { createRecordingLog, type RecordingLog } from "../log/recording-log.ts";
import { type Channel, type ChannelOptions, openChannel } from "./channel.ts";
import { createClient, type ServiceClient } from "./client.ts";
import { bindService, type Handlers } from "./handlers.ts";
import { type RunningServer, type ServeOptions, serve } from "./serve.ts";

export interface TestServer extends AsyncDisposable {
  readonly server: RunningServer;
  readonly address: string;
  readonly log: RecordingLog;
  readonly channel: Channel;
  readonly client: ServiceClient<typeof FleetService>;
}

export async function startTestServer(
  handlers: Partial<Handlers<typeof FleetService>>,
  options: Partial<ServeOptions> = {},
  tls?: ChannelOptions["tls"],
): Promise<TestServer> {
  const log = createRecordingLog();
  const server = await serve({
    services: [bindService(FleetService, { ...refuseAll(), ...handlers })],
    address: { host: "127.0.0.1", port: 0 },
    log,
    ...options,
  });
  const address = `127.0.0.1:${server.port}`;
  const channel = openChannel({ address, ...(tls && { tls }) });
  const client = createClient(FleetService, channel);
  return {
    server,
    address,
    log,
    channel,
    client,
    async [Symbol.asyncDispose]() {
      channel.close();
      await server.close(0);
    },
  };
}

function refuseAll(): Handlers<typeof FleetService> {
  const refuse = () => Promise.reject(new SpanwireError("not-found", "the test has no handler for this"));
  const handlers: Record<string, unknown> = Object.fromEntries(
    FleetService.methods.map(({ localName }) => [localName, refuse]),
  );
  return handlers as Handlers<typeof FleetService>;
}
