/** @module A real OpenBao for a test: its own ports, its own store, gone with the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import { dieWithParent } from "./die-with-parent.ts";
import { executeOrThrow, lastLines } from "./execute.ts";
import { findPorts } from "./find-ports.ts";
import { openBaoPath } from "./openbao-binary.ts";

export interface OpenBaoOptions {
  /** `memory` is `bao server -dev`, up in half a second; `disk` keeps what it has over a restart, after which it is sealed. */
  readonly store: "memory" | "disk";
  /** PEM files of a second listener's certificate and key; only with `disk`. */
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
}

export interface OpenBao extends AsyncDisposable {
  /** "http://127.0.0.1:PORT"; the same after a restart. */
  readonly address: string;
  /** Of the TLS listener: "https://127.0.0.1:PORT"; undefined without one. */
  readonly tlsAddress: string | undefined;
  readonly rootToken: string;
  /**
   * One request of the HTTP API, as root unless another token is given; throws for a status beyond 2xx. That the answer is
   * a `Reply` the caller must know from the API's documentation.
   */
  call<Reply>(method: string, path: string, body?: object, options?: CallOptions): Promise<Reply>;
  /** Runs `bao` or a script that calls it, as root; returns its standard output. */
  command(argv: readonly string[], environment?: Readonly<Record<string, string>>): Promise<string>;
  /** What the server has logged since it was first started. */
  log(): string;
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** SIGSTOP makes a server that accepts and never answers; SIGCONT ends that. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same ports; what was in memory is gone, what is on disk is sealed. */
  restart(): Promise<void>;
}

/** How most answers are wrapped. */
export interface Data<T> {
  readonly data: T;
}

export interface CallOptions {
  readonly token?: string;
  readonly namespace?: string;
}

const START_LIMIT_MS = 60_000;
const POLL_MS = 20;
const ROOT_TOKEN = "root-of-the-lab";

export async function startOpenBao({ store, tls }: OpenBaoOptions): Promise<OpenBao> {
  const binary = await openBaoPath();
  const directory = await mkdtemp(join(tmpdir(), "spanwire-openbao-"));
  // It does not say which port it took for 0.
  const [port = 0, clusterPort = 0, tlsPort = 0] = await findPorts(3);
  const address = `http://127.0.0.1:${port}`;
  let log = "";
  let rootToken = ROOT_TOKEN;
  let unsealKey = "";
  let running = await start();
  if (store === "disk") {
    const made = await call<Initialised>("PUT", "sys/init", { secret_shares: 1, secret_threshold: 1 });
    rootToken = made.root_token;
    [unsealKey] = made.keys;
  }
  await unseal();

  return {
    address,
    tlsAddress: tls && `https://127.0.0.1:${tlsPort}`,
    rootToken,
    call,
    command: (argv, environment = {}) =>
      executeOrThrow(argv, { env: { BAO_ADDR: address, BAO_TOKEN: rootToken, BAO: binary, ...environment } }),
    log: () => log,
    seal: () => call("PUT", "sys/seal"),
    unseal,
    kill,
    async restart() {
      await kill("SIGKILL");
      running = await start();
    },
    async [Symbol.asyncDispose]() {
      await kill("SIGKILL");
      await rm(directory, { recursive: true, force: true });
    },
  };

  async function call<Reply>(method: string, path: string, body?: object, options: CallOptions = {}): Promise<Reply> {
    const headers = {
      "X-Vault-Token": options.token ?? rootToken,
      ...(options.namespace && { "X-Vault-Namespace": options.namespace }),
    };
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text || "null");
    throw new Error(`openbao: ${method} ${path}: status ${response.status}: ${text.trim()}`);
  }

  async function unseal(): Promise<void> {
    if (store === "disk") await call("PUT", "sys/unseal", { key: unsealKey });
    // Unsealed is not yet ready: it becomes its cluster's leader first, and answers 200 only then.
    await until(async () => (await fetch(`${address}/v1/sys/health`)).status === 200);
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    const { child, ended } = running;
    child.kill(signal);
    if (signal === "SIGSTOP") await until(() => isStopped(child.pid ?? 0));
    else if (signal !== "SIGCONT") await ended;
  }

  async function start(): Promise<Running> {
    const args = store === "memory" ? devArguments(port) : ["-config", await writeConfig()];
    const [program = "", ...rest] = await dieWithParent([binary, "server", ...args]);
    const child = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"], cwd: directory });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (log += chunk.toString()));
    const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
    try {
      await until(async () => {
        if (child.exitCode !== null) throw new Error(`openbao ended: ${lastLines(log, 8)}`);
        return (await fetch(`${address}/v1/sys/health`)).status > 0;
      });
      return { child, ended };
    } catch (error) {
      child.kill("SIGKILL");
      await ended;
      throw error;
    }
  }

  async function writeConfig(): Promise<string> {
    const path = join(directory, "raft");
    await mkdir(path, { recursive: true });
    const file = join(directory, "server.hcl");
    const clusterAddress = `127.0.0.1:${clusterPort}`;
    const secure =
      tls &&
      `listener "tcp" {
        address = "127.0.0.1:${tlsPort}"
        tls_cert_file = "${tls.certificateFile}"
        tls_key_file = "${tls.keyFile}"
      }`;
    await writeFile(
      file,
      `storage "raft" {
        path = "${path}"
        node_id = "lab"
        performance_multiplier = 1
      }
      listener "tcp" {
        address = "127.0.0.1:${port}"
        cluster_address = "${clusterAddress}"
        tls_disable = true
      }
      ${secure ?? ""}
      api_addr = "${address}"
      cluster_addr = "http://${clusterAddress}"
      `,
    );
    return file;
  }
}

interface Initialised {
  readonly root_token: string;
  readonly keys: readonly [string];
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
}

function devArguments(port: number): string[] {
  const listen = `-dev-listen-address=127.0.0.1:${port}`;
  return ["-dev", `-dev-root-token-id=${ROOT_TOKEN}`, listen, "-dev-no-store-token"];
}

/** A server that is not up yet refuses connections: no failure until the time is over. */
async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  for (;;) {
    const refused = (error: Error) => {
      if (!(error instanceof TypeError) || performance.now() > deadline) throw error;
      return false;
    };
    if (await isTrue().catch(refused)) return;
    if (performance.now() > deadline) throw new Error(`openbao: not ready after ${START_LIMIT_MS / 1000} s`);
    await delay(POLL_MS);
  }
}

/** With all its threads: one that still runs could answer. */
async function isStopped(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`);
  const states = threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/status`, "utf8").catch(() => undefined));
  return (await Promise.all(states)).every((state) => state === undefined || /^State:\tT/m.test(state));
}
