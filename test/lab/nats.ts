/** @module A real nats-server for a test: its own port, its own store, gone with the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import { dieWithParent } from "./die-with-parent.ts";
import { lastLines } from "./execute.ts";
import { findPorts } from "./find-ports.ts";
import { natsServerPath } from "./nats-server.ts";

export interface NatsOptions {
  /** Added to the configuration: operator, accounts, permissions, TLS. Listener, store and logging are set here. */
  readonly config?: string;
  /** Further arguments of the program. */
  readonly args?: readonly string[];
  /** JetStream with a file store in a directory of its own; true by default. */
  readonly jetstream?: boolean;
}

export interface NatsServer extends AsyncDisposable {
  /** "nats://127.0.0.1:PORT"; the same after a restart. */
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now. */
  readonly pid: number;
  /** The directory of JetStream's store, which a test may copy or change while the server is down. */
  readonly storeDirectory: string;
  /** What the server has logged since it was first started. */
  log(): string;
  /** Sends the signal; waits for the end of the process when it is one that ends it. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and store, ending it first when it runs; may change the configuration. */
  restart(config?: string): Promise<void>;
}

const START_LIMIT_MS = 60_000;
const POLL_MS = 10;

/** Starts a server, waits until it accepts clients, and ends it when disposed of. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const binary = await natsServerPath();
  const directory = await mkdtemp(join(tmpdir(), "spanwire-nats-"));
  const storeDirectory = join(directory, "store");
  let log = "";
  let config = options.config ?? "";
  const [port = 0] = await findPorts(1);
  let running = await start();

  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    storeDirectory,
    get pid() {
      return running.pid;
    },
    log: () => log,
    kill,
    async restart(changed) {
      await kill("SIGKILL");
      config = changed ?? config;
      running = await start();
    },
    async [Symbol.asyncDispose]() {
      await kill("SIGKILL");
      await rm(directory, { recursive: true, force: true });
    },
  };

  async function kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    running.child.kill(signal);
    if (signal !== "SIGSTOP" && signal !== "SIGCONT" && signal !== "SIGHUP") await running.ended;
  }

  async function start(): Promise<Running> {
    const file = join(directory, "server.conf");
    await writeFile(file, configuration({ ...options, config, directory, storeDirectory }));
    // What is said here is stronger than a port in the configuration that was given.
    const argv = [binary, "--config", file, "--port", `${port}`, ...(options.args ?? [])];
    const [program = "", ...args] = await dieWithParent(argv);
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.on("data", (chunk: Buffer) => {
      log += chunk.toString();
    });
    const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
    if ((await isUp(directory, child)) && child.pid !== undefined) return { child, ended, pid: child.pid };
    child.kill("SIGKILL");
    await ended;
    throw new Error(`nats-server: not up after ${START_LIMIT_MS / 1000} s or ended: ${lastLines(log, 8)}`);
  }
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  readonly pid: number;
}

interface Configuration extends NatsOptions {
  readonly directory: string;
  readonly storeDirectory: string;
}

function configuration(options: Configuration): string {
  const jetstream = options.jetstream === false ? "" : `jetstream { store_dir: "${options.storeDirectory}" }`;
  return `host: "127.0.0.1"\nports_file_dir: "${options.directory}"\n${jetstream}\n${options.config}\n`;
}

/** Waits for the file in which the server names its ports; false when it ends or takes too long. */
async function isUp(directory: string, child: ChildProcess): Promise<boolean> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
    const name = (await readdir(directory)).find((entry) => entry.endsWith(`_${child.pid}.ports`));
    const text = name === undefined ? "" : await readFile(join(directory, name), "utf8");
    if (/(?:nats|tls):\/\/127\.0\.0\.1:\d+/.test(text)) return true;
    await delay(POLL_MS);
  }
  return false;
}
