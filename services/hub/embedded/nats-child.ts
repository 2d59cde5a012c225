/**
 * @module The hub's own nats-server: a child process that is started, watched, started again when it dies, and stopped
 * with the hub. One that a killed hub has left behind is recognised by the configuration it runs, and replaced.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock, Random } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import { fullJitterMs } from "@spanwire/runtime/loop/backoff";

export interface NatsChildOptions {
  /** Path of nats-server. */
  readonly binary: string;
  /** Its configuration; pid and ports files are written beside it. */
  readonly configFile: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
  /** Stops it, and with it the watching. */
  readonly signal: AbortSignal;
}

export interface NatsChild {
  /** "nats://127.0.0.1:4222" or "tls://…", as the server says where it listens. */
  readonly url: string;
  /** Has the server read its configuration and certificates anew; connections stay. */
  readonly reload: () => void;
  /** Resolves when the signal has aborted and the process has ended. */
  readonly done: Promise<void>;
}

const READY_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 10_000;
const POLL_MS = 20;
const LAST_WORDS = 8;
const BACKOFF = { baseMs: 200, capMs: 5_000 };
export const PID_FILE = "nats-server.pid";

/** Starts the server and returns when it takes clients; rejects with its last words when it does not come up. */
export async function startNatsChild(options: NatsChildOptions): Promise<NatsChild> {
  await stopLeftover(options);
  const first = await start(options);
  const running = { process: first.process };
  return {
    url: first.url,
    reload: () => void running.process.kill("SIGHUP"),
    done: watch(options, { running, port: new URL(first.url).port }),
  };
}

/** Started again, it gets the port that it chose at first: everybody has been told that one. */
async function watch(
  options: NatsChildOptions,
  { running, port }: { readonly running: { process: ChildProcess }; readonly port: string },
): Promise<void> {
  const { log, clock, random, signal } = options;
  for (let failures = 0; !signal.aborted; ) {
    const ended = await endOf(running.process, signal);
    if (ended === undefined) break;
    log.error({ status: ended }, "nats-server ended; starting it again");
    await clock.sleep(fullJitterMs(BACKOFF, ++failures, random), signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      running.process = (await start(options, port)).process;
      failures = 0;
    } catch (err) {
      log.error({ err }, "nats-server does not start");
    }
  }
  await stop(running.process);
}

/** Undefined when the signal aborted first. */
async function endOf(process: ChildProcess, signal: AbortSignal): Promise<string | undefined> {
  if (isOver(process)) return describeEnd(process);
  try {
    await once(process, "exit", { signal });
    return describeEnd(process);
  } catch {
    return undefined;
  }
}

async function start(
  options: NatsChildOptions,
  port?: string,
): Promise<{ readonly process: ChildProcess; readonly url: string }> {
  const { binary, configFile, log, clock, signal } = options;
  const directory = dirname(configFile);
  await removePortsFiles(directory);
  const pidFile = join(directory, PID_FILE);
  const args = ["--config", configFile, "--pid", pidFile, "--ports_file_dir", directory];
  if (port !== undefined) args.push("--port", port);
  const child = spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"] });
  const lastWords: string[] = [];
  createInterface(child.stderr).on("line", (line) => {
    lastWords.push(line);
    if (lastWords.length > LAST_WORDS) lastWords.shift();
    log.debug({ nats: line }, "nats-server");
  });
  const failed = once(child, "error").then(([cause]) => {
    throw new SpanwireError("unavailable", `start ${binary}: cannot be run; name the binary with --nats-server`, {
      cause,
    });
  });
  return Promise.race([failed, ready()]);

  async function ready() {
    const deadline = clock.now() + READY_LIMIT_MS;
    while (!isOver(child) && clock.now() < deadline) {
      const url = await readUrl(directory, child.pid);
      if (url !== undefined) return { process: child, url };
      await clock.sleep(POLL_MS, signal);
    }
    child.kill("SIGKILL");
    throw new SpanwireError("unavailable", `start nats-server: not up; it said: ${lastWords.join(" | ")}`);
  }
}

/** The server writes nats-server_PID.ports once it listens. */
async function readUrl(directory: string, pid: number | undefined): Promise<string | undefined> {
  const name = (await readdir(directory)).find((entry) => entry.endsWith(`_${pid}.ports`));
  if (name === undefined) return undefined;
  try {
    const { nats } = JSON.parse(await readFile(join(directory, name), "utf8"));
    return nats?.[0];
  } catch {
    return undefined; // half written
  }
}

async function removePortsFiles(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter((entry) => entry.endsWith(".ports"));
  await Promise.all(names.map((name) => rm(join(directory, name), { force: true })));
}

async function stop(process: ChildProcess): Promise<void> {
  if (isOver(process)) return;
  const ended = once(process, "exit");
  process.kill("SIGTERM");
  const force = setTimeout(() => process.kill("SIGKILL"), STOP_LIMIT_MS);
  await ended;
  clearTimeout(force);
}

/**
 * Ends the server of a hub that was killed. The pid alone proves nothing, because pids come again; a process that was
 * started with our configuration file is ours.
 */
async function stopLeftover({ configFile, log, clock }: NatsChildOptions): Promise<void> {
  const pid = Number(await readFile(join(dirname(configFile), PID_FILE), "utf8").catch(() => ""));
  if (!Number.isSafeInteger(pid) || pid <= 1 || !(await runsWith(pid, configFile))) return;
  log.warn({ pid }, "a nats-server of a former hub still runs; stopping it");
  const deadline = clock.now() + STOP_LIMIT_MS;
  process.kill(pid, "SIGTERM");
  for (;;) {
    if (await runsWith(pid, configFile)) {
      if (clock.now() > deadline) process.kill(pid, "SIGKILL");
    } else if (!(await isEnding(pid))) return;
    await clock.sleep(POLL_MS);
  }
}

async function runsWith(pid: number, configFile: string): Promise<boolean> {
  return (await readCommandLine(pid)).split("\0").includes(configFile);
}

/**
 * Whether it still holds its port: a process that ends loses its command line first, then its threads close what they
 * have open, and what is left is a zombie without other threads (kernel/exit.c, do_exit).
 */
async function isEnding(pid: number): Promise<boolean> {
  if ((await readCommandLine(pid)) !== "") return false; // another one has its pid now
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return threads.length > 1 || (status !== "" && !/^State:\t[ZX]/m.test(status));
}

function readCommandLine(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function describeEnd({ exitCode, signalCode }: ChildProcess): string {
  return signalCode ?? `exit status ${exitCode}`;
}
