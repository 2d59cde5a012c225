/** @module A real hub for tests: `spanwire up` as a process of its own, which can be killed with its NATS. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { Secret } from "@spanwire/core/identity/secret";
import { FleetService } from "@spanwire/proto/fleet";
import { type Channel, openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient, type ServiceClient } from "@spanwire/runtime/grpc/client";
import { readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { natsServerPath } from "../../test/lab/nats-server.ts";

const SPANWIRE = join(import.meta.dirname, "../../services/cli/main.ts");
const START_LIMIT_MS = 30_000;
const CALL = { timeoutMs: 15_000 };

export class HubProcess implements AsyncDisposable {
  readonly #directory: string;
  readonly #ports: { readonly registration: number; readonly fleet: number };
  #child: ChildProcess | undefined;
  #output = "";

  static async start(directory: string): Promise<HubProcess> {
    const hub = new HubProcess(directory, { registration: await freePort(), fleet: await freePort() });
    await hub.restart();
    return hub;
  }

  private constructor(directory: string, ports: HubProcess["ports"]) {
    this.#directory = directory;
    this.#ports = ports;
  }

  get ports() {
    return this.#ports;
  }

  /** Starts it on the state and ports that it had, and returns when it takes calls. */
  async restart(): Promise<void> {
    const { registration, fleet } = this.#ports;
    const binary = await natsServerPath();
    const args = ["up", "--dir", this.#directory, "--listen", "127.0.0.1", "--nats-port", "0", "--nats-server", binary];
    const ports = ["--registration-port", `${registration}`, "--fleet-port", `${fleet}`];
    const child = spawn(process.execPath, [SPANWIRE, ...args, ...ports], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    const ready = Promise.withResolvers<void>();
    child.stderr.on("data", (bytes: Buffer) => {
      this.#output += bytes.toString();
      if (this.#output.includes("operator context:")) ready.resolve();
    });
    child.once("exit", () => ready.reject(new Error(`the hub ended: ${this.#output}`)));
    const late = setTimeout(() => ready.reject(new Error(`the hub is not up: ${this.#output}`)), START_LIMIT_MS);
    await ready.promise.finally(() => clearTimeout(late));
    this.#output = "";
  }

  /** Ends hub and NATS at once, as a power cut does. */
  async kill(): Promise<void> {
    const pid = Number(await readFile(join(this.#directory, "nats/nats-server.pid"), "utf8"));
    const ended = this.#child && once(this.#child, "exit");
    this.#child?.kill("SIGKILL");
    process.kill(pid, "SIGKILL");
    await ended;
    this.#child = undefined;
  }

  /** A join token, as text; to take an ordinal over it must be named. */
  async token(clusterId: string, ordinal?: number): Promise<Secret> {
    const wish = { clusterId, ...(ordinal === undefined ? {} : { ordinal }) };
    const { token } = await this.#call((fleet) => fleet.createToken(wish, CALL));
    return new Secret(Buffer.from(token));
  }

  /** Ids of the clusters that the hub knows. */
  clusters(): Promise<string[]> {
    return this.#call(async (fleet) => (await fleet.listClusters({}, CALL)).clusters.map(({ id }) => id).sort());
  }

  /** Of the embedded NATS; to be copied or replaced while the hub is down. */
  get storeDirectory(): string {
    return join(this.#directory, "nats/jetstream");
  }

  /** Revokes a cluster and returns the gateways that have shown its peers absent, once every reachable one has. */
  revoke(id: string): Promise<string[]> {
    return this.#call(async (fleet) => {
      const { ended } = await fleet.revokeCluster({ id }, CALL);
      for await (const { gateways, complete } of fleet.watchAcknowledgements({ ended }, CALL)) {
        const absent = gateways.filter(({ absentAt }) => absentAt !== undefined);
        if (complete) return absent.map(({ clusterId, ordinal }) => `${clusterId}/${ordinal}`);
      }
      throw new Error("the watch ended before every gateway had acknowledged");
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child === undefined) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
  }

  async #call<T>(call: (fleet: ServiceClient<typeof FleetService>) => Promise<T>): Promise<T> {
    using channel = await this.#openFleet();
    return await call(createClient(FleetService, channel));
  }

  async #openFleet(): Promise<Channel> {
    const context = await readOperatorContext(join(this.#directory, "context.json"));
    const { address, caPem, certificatePem: chainPem, privateKeyPem } = context;
    return openChannel({ address, tls: { caPem, certificate: { chainPem, privateKeyPem } } });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
