/** @module A real hub for tests: `spanwire up` as a process, on ports that stay its own, in a folder of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FleetClient, openFleet } from "@spanwire/cli/fleet";
import { type OperatorContext, readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { dieWithParent } from "../lab/die-with-parent.ts";
import { findPorts } from "../lab/find-ports.ts";
import { natsServerPath } from "../lab/nats-server.ts";

export interface HubProcess extends AsyncDisposable {
  readonly directory: string;
  readonly contextFile: string;
  context(): Promise<OperatorContext>;
  /** The operator's API; each call opens a connection that ends with the hub process. */
  fleet(): Promise<FleetClient>;
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same state. */
  start(): Promise<void>;
  /** What it has written to standard error. */
  output(): string;
}

const CLI = join(import.meta.dirname, "../../services/cli/main.ts");

export interface HubProcessOptions {
  /** The nats-server to run; the lab's by default. */
  readonly natsServer?: string;
  /** Another hub, whose keys it gets and whose NATS it uses by this URL. */
  readonly replicaOf?: { readonly directory: string; readonly natsUrl: string };
  /** Settings that no flag has. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a hub and returns when it takes calls. */
export async function startHubProcess(
  args: readonly string[] = [],
  { natsServer, replicaOf, env: settings = {} }: HubProcessOptions = {},
): Promise<HubProcess> {
  const directory = await mkdtemp(join(tmpdir(), "spanwire-hub-"));
  if (replicaOf !== undefined) {
    await cp(join(replicaOf.directory, "secrets"), join(directory, "secrets"), { recursive: true });
  }
  const [registration, fleet, nats] = await findPorts(3);
  const ports = ["--registration-port", `${registration}`, "--fleet-port", `${fleet}`, "--nats-port", `${nats}`];
  const env = { ...settings, ...(replicaOf && { SPANWIRE_HUB_NATS_SERVERS: replicaOf.natsUrl }) };
  const contextFile = join(directory, "context.json");
  const open = new DisposableStack();
  let output = "";
  let child: ChildProcess | undefined;

  const hub: HubProcess = {
    directory,
    contextFile,
    context: () => readOperatorContext(contextFile),
    fleet: async () => open.use(openFleet(await readOperatorContext(contextFile))).client,
    output: () => output,
    async end(signal) {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
      child = undefined;
    },
    async start() {
      const argv = [process.execPath, CLI, "up", "--dir", directory, "--listen", "127.0.0.1", ...ports, ...args];
      const [file = "", ...rest] = await dieWithParent([
        ...argv,
        "--nats-server",
        natsServer ?? (await natsServerPath()),
      ]);
      const started = spawn(file, rest, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...env } });
      child = started;
      output = "";
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      started.stderr.on("data", (chunk: Buffer) => {
        output += chunk;
        if (output.includes("operator context:")) resolve();
      });
      started.once("exit", () => reject(new Error(`hub ended: ${output}`)));
      await promise;
    },
    async [Symbol.asyncDispose]() {
      open.dispose();
      await hub.end("SIGTERM");
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await hub.start();
    return hub;
  } catch (error) {
    await hub[Symbol.asyncDispose]();
    throw error;
  }
}
