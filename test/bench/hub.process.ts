/** @module The real hub, with its own nats-server, in a process of its own. */
import { type HubConfig, hubConfigSchema } from "@spanwire/hub/config";
import { type HubReady, run } from "@spanwire/hub/main";
import { createLog } from "@spanwire/runtime/log/create-log";
import { startProfile } from "./profiler.ts";
import { serveParent } from "./serve-parent.ts";

const stop = new AbortController();
const log = createLog({ name: "hub", level: "error" });
let endProfile: Awaited<ReturnType<typeof startProfile>> | undefined;
let running: Promise<void> | undefined;

const handlers = {
  /** Resolves when it takes calls. */
  async start(config: Pick<HubConfig, "dir"> & { readonly natsServer: string }): Promise<HubReady> {
    const { dir, natsServer } = config;
    const whole = hubConfigSchema.parse({
      dir,
      listen: "127.0.0.1",
      registrationPort: 0,
      fleetPort: 0,
      nats: { binary: natsServer, port: 0 },
    });
    const ready = Promise.withResolvers<HubReady>();
    running = run(whole, { log, searchPath: "", signal: stop.signal, onReady: ready.resolve });
    running.catch(ready.reject);
    return ready.promise;
  },
  async startProfile(): Promise<void> {
    endProfile = await startProfile();
  },
  async endProfile(file: string): Promise<void> {
    await endProfile?.(file);
  },
  async stop(): Promise<void> {
    stop.abort();
    await running;
  },
};

export type HubProgram = typeof handlers;

serveParent(handlers);
