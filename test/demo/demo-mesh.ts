/** @module The demo's processes: one hub, an agent for each gateway, and the operator's connection to the hub. */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type FleetClient, openFleet } from "@spanwire/cli/fleet";
import { readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { execute, lastLines } from "../lab/execute.ts";
import { natsServerPath } from "../lab/nats-server.ts";
import { wireguardGoPath } from "../lab/wireguard-go.ts";
import type { GatewayMachine, Machine, Site } from "../netns/topology.ts";
import { eventually } from "./eventually.ts";
import { type Program, startProgram } from "./program.ts";

export type Dataplane = "kernel" | "userspace";

export interface DemoMeshOptions {
  /** The file to run with node: the bundle. */
  readonly spanwire: string;
  readonly hub: Machine;
  readonly directory: string;
  readonly dataplane: Dataplane;
  /** Whether processes go on when the demo ends. */
  readonly keep: boolean;
}

const CALL_MS = 30_000;
/** A program takes seconds to start where every instruction is emulated. */
const START_LIMIT_MS = 120_000;

export class DemoMesh implements AsyncDisposable {
  readonly #options: DemoMeshOptions;
  readonly #agents = new Map<string, Program>();
  readonly #rooms = new Map<string, Program>();
  /** Of the gateways that have an agent. */
  readonly #namespaces = new Set<string>();
  #hub: Program | undefined;
  #fleet: ({ readonly client: FleetClient } & Disposable) | undefined;

  constructor(options: DemoMeshOptions) {
    this.#options = options;
  }

  /** The operator's API; throws before the hub was first up. */
  get fleet(): FleetClient {
    if (this.#fleet === undefined) throw new Error("demo: the hub is not up");
    return this.#fleet.client;
  }

  get call(): { readonly timeoutMs: number } {
    return { timeoutMs: CALL_MS };
  }

  get hubPid(): number {
    return this.#hub?.pid ?? 0;
  }

  /** Starts hub and NATS, or starts them again on the same state, and returns when the API answers. */
  async startHub(): Promise<void> {
    const { hub, directory } = this.#options;
    const state = join(directory, "hub");
    const address = hub.underlay.ipv4;
    this.#hub = await this.#start(hub, "hub", [
      ...["up", "--dir", state, "--listen", address, "--advertise", address],
      ...["--nats-server", await natsServerPath()],
    ]);
    const context = join(state, "context.json");
    await this.#while(this.#hub, "hub up", async () => {
      this.#fleet ??= openFleet(await readOperatorContext(context));
      return this.#fleet.client.getVersion({}, { timeoutMs: 10_000 });
    });
  }

  /** Ends hub and nats-server at once, as a power cut would. */
  async killHub(): Promise<void> {
    const natsPid = Number((await readFile(join(this.#options.directory, "hub/nats/nats-server.pid"), "utf8")).trim());
    process.kill(natsPid, "SIGKILL");
    await this.#hub?.end("SIGKILL");
  }

  /** Gets a token, hands it to a new agent on the gateway's machine and starts it. */
  async joinGateway(site: Site, gateway: GatewayMachine, options: readonly string[] = []): Promise<void> {
    const { token } = await this.fleet.createToken({ clusterId: site.name }, this.call);
    const file = join(this.#options.directory, `${gateway.name}.token`);
    await writeFile(file, token, { mode: 0o600 });
    // Two that join at once could else take each other's.
    const ordinal = ["--ordinal", String(gateway.ordinal)];
    await this.startAgent(site, gateway, ["--token-file", file, "--prefix", site.prefix.ipv4, ...ordinal, ...options]);
  }

  /** Starts the agent of a gateway that has joined, or with the options of a first start. */
  async startAgent(site: Site, gateway: GatewayMachine, options: readonly string[] = []): Promise<void> {
    const { directory, dataplane } = this.#options;
    // Forwarding from the LAN is the host's own setting: the agent reports it, and changes its own devices only.
    gateway.namespace.sysctl({ "ipv4/conf/lan/forwarding": 1 });
    const state = join(directory, gateway.name);
    await mkdir(state, { recursive: true, mode: 0o700 });
    const endpoint = site.router === undefined ? ["--endpoint", gateway.underlay.ipv4] : [];
    const program = await this.#start(gateway, gateway.name, [
      ...["agent", "run", "--state-dir", state, "--dataplane", dataplane],
      ...endpoint,
      ...options,
    ]);
    this.#agents.set(gateway.name, program);
    this.#namespaces.add(gateway.namespace.name);
  }

  async endAgent(gateway: GatewayMachine, signal: NodeJS.Signals): Promise<void> {
    await this.#agents.get(gateway.name)?.end(signal);
  }

  /** Throws with the last words of an agent that has ended. */
  async checkAgents(): Promise<void> {
    for (const [name, agent] of this.#agents) {
      if (agent.exitCode() !== undefined) throw new Error(`agent ${name} ended: ${await lastWords(agent)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fleet?.[Symbol.dispose]();
    if (this.#options.keep) return;
    const end = async (program: Program, signal: NodeJS.Signals) => {
      if (program.exitCode() === undefined) await program.end(signal);
    };
    await Promise.all([...this.#agents.values()].map((agent) => end(agent, "SIGKILL")));
    // A wireguard-go outlives its agent, as it should; not the demo.
    for (const name of this.#namespaces) await execute(["sh", "-c", `ip netns pids ${name} | xargs -r kill -9`]);
    if (this.#hub !== undefined) await end(this.#hub, "SIGTERM"); // and with it its nats-server
    await Promise.all([...this.#rooms.values()].map((room) => end(room, "SIGKILL")));
  }

  async #start(machine: Machine, name: string, args: readonly string[]): Promise<Program> {
    const { spanwire, directory, keep, dataplane } = this.#options;
    const userspace = dataplane === "userspace" && name !== "hub";
    const enter = userspace ? await this.#room(machine) : machine.namespace.enter;
    return startProgram({
      enter,
      argv: [process.execPath, spanwire, ...args],
      logFile: join(directory, `${name}.log`),
      env: userspace ? { SPANWIRE_AGENT_WIREGUARD_GO: await wireguardGoPath() } : {},
      outlives: keep,
    });
  }

  /** How to enter a machine whose /run/wireguard is its own: the sockets of wireguard-go are named by device only. */
  async #room(machine: Machine): Promise<readonly string[]> {
    let holder = this.#rooms.get(machine.name);
    if (holder === undefined) {
      const ready = join(this.#options.directory, `${machine.name}.room.ready`);
      const mount = "mkdir -p /run/wireguard && mount -t tmpfs tmpfs /run/wireguard";
      const script = `${mount} && touch ${ready} && exec sleep infinity`;
      holder = await startProgram({
        enter: [...machine.namespace.enter, "unshare", "--mount", "--"],
        argv: ["sh", "-c", script],
        logFile: join(this.#options.directory, `${machine.name}.room.log`),
        outlives: this.#options.keep,
      });
      this.#rooms.set(machine.name, holder);
      await eventually(`a mount namespace for ${machine.name}`, () => existsSync(ready));
    }
    return ["nsenter", `--mount=/proc/${holder.pid}/ns/mnt`, `--net=/run/netns/${machine.namespace.name}`, "--"];
  }

  async #while<T>(program: Program, what: string, ask: () => Promise<T>): Promise<T> {
    let ended: string | undefined;
    const answer = await eventually(
      what,
      async () => {
        if (program.exitCode() === undefined) return { value: await ask() };
        ended = await lastWords(program);
        return { value: undefined };
      },
      { timeoutMs: START_LIMIT_MS },
    );
    if (ended !== undefined || answer.value === undefined) throw new Error(`${what}: ended: ${ended}`);
    return answer.value;
  }
}

async function lastWords({ logFile }: Program): Promise<string> {
  return lastLines(await readFile(logFile, "utf8"), 5);
}
