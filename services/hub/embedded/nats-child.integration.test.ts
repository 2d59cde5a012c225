import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { natsServerPath } from "../../../test/lab/nats-server.ts";
import { findNatsServer } from "./find-nats-server.ts";
import { PID_FILE, startNatsChild } from "./nats-child.ts";

const LISTEN = 'listen: "127.0.0.1:-1"';

let directory: string;
let stop: AbortController;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-embedded-"));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await rm(directory, { recursive: true, force: true });
});

test("starts, starts again when killed, and stops with the signal", async () => {
  const child = await start(LISTEN);
  expect(child.url).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/);
  const first = await pid();
  process.kill(first, "SIGKILL");
  await vi.waitUntil(async () => (await pid()) !== first, { timeout: 60_000 });
  const second = await pid();
  expect(isAlive(second)).toBe(true);
  await expect.poll(() => isListening(child.url)).toBe(true); // where it was before
  stop.abort();
  await child.done;
  expect(isAlive(second)).toBe(false);
});

test("replaces the server that a killed hub has left behind", async () => {
  const configFile = join(directory, "nats.conf");
  await writeFile(configFile, LISTEN);
  const args = ["--config", configFile, "--pid", join(directory, PID_FILE)];
  const orphan = spawn(await natsServerPath(), args, { stdio: "ignore" });
  await vi.waitUntil(async () => (await pid()) === orphan.pid, { timeout: 60_000 });
  const ended = once(orphan, "exit");
  await start(LISTEN);
  await ended;
  expect(isAlive(await pid())).toBe(true);
});

test("says what the server said when it does not come up", async () => {
  await expect(start("listen: nonsense {")).rejects.toThrow(/not up; it said: .*nonsense|not up; it said: .*parse/i);
});

test("says what to do when there is no server", async () => {
  await expect(findNatsServer({ given: undefined, searchPath: directory })).rejects.toThrow("--nats-server FILE");
  await expect(findNatsServer({ given: "/none", searchPath: "" })).rejects.toThrow("/none cannot be run");
});

async function start(config: string, signal = stop.signal) {
  const configFile = join(directory, "nats.conf");
  await writeFile(configFile, config);
  const log = createRecordingLog();
  return startNatsChild({
    binary: await natsServerPath(),
    configFile,
    log,
    clock: systemClock,
    random: () => 0.1,
    signal,
  });
}

async function pid(): Promise<number> {
  return Number(await readFile(join(directory, PID_FILE), "utf8").catch(() => "0"));
}

function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => resolve(true)).on("error", () => resolve(false));
    socket.unref();
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
